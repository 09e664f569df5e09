"""The domain types: what every other package speaks of. Imports nothing of ours."""
