"""Prompts, structured answers, and the checks of what a language model says."""
