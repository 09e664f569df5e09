"""The runbook format (schema, loader, linter, binding) and the library."""
