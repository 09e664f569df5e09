"""Offline evaluation and the sandbox."""
