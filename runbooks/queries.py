r"""Renders PromQL so that a value stays where its template put it: within its quotes, or as one bare word.

Where an expression stands decides how its text is written. Within double or single quotes: escaped as Go string
literals are; after `=~` or `!~`: as a literal of a regular expression too; outside quotes: only a number, a metric or
label name, or a duration. Source: "String literals" and "Regular expressions" of the Prometheus querying basics,
https://prometheus.io/docs/prometheus/latest/querying/basics/.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from runbooks.templates import BadTemplate, Scalar, as_text, bounded, evaluate, pieces

# A metric's or label's name, or a duration. Operators are words too, and would change what the query asks.
_BARE = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*|(\d+(ms|[smhdwy]))+")
_OPERATORS = frozenset({"and", "or", "unless", "atan2", "by", "without", "on", "ignoring", "group_left", "group_right"})
_MODIFIERS = frozenset({"bool", "offset", "start", "end", "inf", "nan"})
MAX_QUERY = 5_000
MAX_NESTED = 100
"""Brackets within brackets. Parsers of PromQL recurse on the machine's stack, which thousands of them overflow."""

_SIGNS = re.compile(rf"(?:[-+]\s*){{{MAX_NESTED}}}")
_STATEMENT = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)?")


def render_query(source: str, parameters: Mapping[str, Scalar]) -> str:
    """A PromQL template with its values. Raises BadTemplate where one could change the query's meaning."""
    written, quoted_by = "", ""
    for piece in pieces(source):
        if isinstance(piece, str):
            quoted_by = _quote_after(piece, quoted_by)
            written += piece
        else:
            written += _value(evaluate(piece, parameters), quoted_by, _is_regex(written, quoted_by))
    return bounded(written)


def oversized(query: str) -> str | None:
    """Why a query is too large to be parsed; None where it is not."""
    if len(query) > MAX_QUERY:
        return f"it has {len(query)} characters, more than {MAX_QUERY}"
    depth = 0
    for character in query:
        depth += (character in "([{") - (character in ")]}")
        if depth > MAX_NESTED:
            return f"it is nested more than {MAX_NESTED} deep"
    return f"it has {MAX_NESTED} signs in a row" if _SIGNS.search(query) else None


def render_statement(source: str, parameters: Mapping[str, Scalar]) -> str:
    """The name of a configured SQL statement, or `DATABASE/STATEMENT`: SQL is never rendered.

    Raises BadTemplate where it is no such name.
    """
    written = "".join(
        piece if isinstance(piece, str) else as_text(evaluate(piece, parameters)) for piece in pieces(source)
    )
    if not _STATEMENT.fullmatch(written):
        raise BadTemplate(f"{written!r} is not the name of a configured statement")
    return written


def _quote_after(text: str, quote: str) -> str:
    """The quote that is open after `text`, given the one before it; `#` for a comment, empty for none."""
    position = 0
    while position < len(text):
        character = text[position]
        if not quote and character in "\"'`#":
            quote = character
        elif quote in ("'", '"') and character == "\\":
            position += 1
        elif quote and character == ("\n" if quote == "#" else quote):
            quote = ""
        position += 1
    return quote


def _is_regex(written: str, quote: str) -> bool:
    """Whether the open string is the value of `=~` or `!~`."""
    if quote not in ("'", '"', "`"):
        return False
    start = len(written)
    while (start := written.rfind(quote, 0, start)) > 0 and written[start - 1] == "\\":
        pass
    return written[:start].rstrip().endswith("~")


def _value(value: Scalar, quote: str, regex: bool) -> str:
    text = as_text(value)
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise BadTemplate(f"the value {text!r} holds a control character")
    if quote == "#":
        raise BadTemplate("an expression stands in a comment of the query")
    if not quote:
        if not isinstance(value, str) or (_BARE.fullmatch(text) and text.lower() not in _OPERATORS | _MODIFIERS):
            return text
        raise BadTemplate(f"the value {text!r} stands outside quotes and is no name, number or duration")
    text = re.escape(text) if regex else text
    if quote == "`":
        if "`" in text or "\\" in text:
            raise BadTemplate(f"the value {text!r} cannot stand in backticks")
        return text
    return text.replace("\\", "\\\\").replace(quote, "\\" + quote)
