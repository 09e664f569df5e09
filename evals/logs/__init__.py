"""Offline evaluation of log templates: how lines are grouped, and what is found in a simulated day."""
