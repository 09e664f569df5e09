"""Quotes: found in their passage as they stand, or not believed."""

from __future__ import annotations

import re

from models.domain.recommendation import Citation
from models.domain.runbook import Passage

MIN_WORDS = 3
"""A quote of one or two words is found in almost any passage and supports nothing."""
MAX_QUOTE = 600


def find_quote(quote: str, passage: Passage) -> Citation | None:
    """The span of the quote in the passage, taking any run of blanks for any other; None where it is not there.

    The citation's quote is the passage's own text. Letters, case and punctuation must be equal.
    """
    words = quote.split()
    if len(words) < MIN_WORDS or len(quote) > MAX_QUOTE or passage.end - passage.start != len(passage.text):
        return None
    match = re.search(r"\s+".join(re.escape(word) for word in words), passage.text)
    if match is None:
        return None
    return Citation(
        document=passage.document,
        start=passage.start + match.start(),
        end=passage.start + match.end(),
        quote=match.group(),
    )
