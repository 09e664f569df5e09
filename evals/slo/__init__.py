"""How soon burn-rate alerts speak, and how often without need, on simulated requests."""
