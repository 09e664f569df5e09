"""The runbook format (schema, loader, linter, binding) and the library."""

from pathlib import Path

LIBRARY = Path(__file__).resolve().parent / "library"
"""The folder of the runbooks that ship with Suture."""
