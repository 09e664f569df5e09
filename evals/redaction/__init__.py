"""How well redaction finds what must not leave: precision and recall on texts with made-up values."""
