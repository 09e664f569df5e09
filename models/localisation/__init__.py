"""Incident and topology in, ranked culprits out."""
