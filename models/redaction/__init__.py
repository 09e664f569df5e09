"""Secrets and personal data in a text: found, and replaced by placeholders that can be turned back."""

from models.redaction.redact import Redacted, Redaction, Restorer, redact, redacted_words

__all__ = ["Redacted", "Redaction", "Restorer", "redact", "redacted_words"]
