"""Real processes and real faults, for demonstrations and tests."""
