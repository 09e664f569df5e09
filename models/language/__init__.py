"""Prompts, structured answers, checks of what a language model says. The call itself is injected."""
