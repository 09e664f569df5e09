"""API keys, roles, signatures and secret references."""
