"""Signals in, incidents out."""
