"""Labelled incidents of our own: the sandbox's faults, recorded as Suture saw them, with the truth about each."""
