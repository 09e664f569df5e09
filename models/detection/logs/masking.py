"""What differs from line to line of one kind, masked: times, identifiers, addresses, numbers.

Masking before the tree is the one preparation that Drain asks for (He, Zhu, Zheng and Lyu, "Drain: An Online Log
Parsing Approach with Fixed Depth Tree", ICWS 2017, section III-B).
"""

from __future__ import annotations

import re

MAX_TOKENS = 100
"""Words of a line that are looked at: the tree has a branch for each number of words."""
REST = "<rest>"

# The order matters: an earlier form may hold a later one. All begin where a word begins, with one of few characters.
_FORMS = {
    "time": r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?|\d\d:\d\d:\d\d(?:[.,]\d+)?",
    "uuid": r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b",
    "ip": r"\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?\b|\[?(?:[0-9a-fA-F]{1,4}:){4,7}[0-9a-fA-F]{1,4}\b\]?(?::\d{1,5})?",
    "id": r"0x[0-9a-fA-F]+\b|(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{8,}(?![A-Za-z0-9])",
    "num": r"\d+(?:[.,]\d+)*(?:[eE][+-]?\d+)?(?:ns|us|µs|ms|s|m|h|d|[kKMG]i?[bB]?|[bB]|%)?(?![A-Za-z0-9])",
}
_MASKED = re.compile(
    r"(?<![A-Za-z0-9])(?=[0-9a-fA-F\[])(?:" + "|".join(f"(?P<{name}>{form})" for name, form in _FORMS.items()) + ")"
)
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")
_SECRET = re.compile(r"\b(password=|passwd=|token=|secret=|api_?key=|Bearer )(?!<)\S+", re.IGNORECASE)
_DIGIT = re.compile(r"\d")
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_TRACEBACK = "Traceback (most recent call last)"


def telling_line(text: str) -> str:
    """The line of a message that says what happened: its first, of a Python traceback the last."""
    if "\n" not in text and "\x1b" not in text:
        return text.strip()
    lines = [line.strip() for line in _COLOURS.sub("", text).splitlines() if line.strip()]
    if not lines:
        return ""
    return lines[-1] if lines[0].startswith(_TRACEBACK) else lines[0]


def mask(line: str) -> str:
    """The line with what differs replaced by `<kind>`, words separated by one space, at most MAX_TOKENS of them."""
    if "=" in line or "Bearer" in line:
        line = _SECRET.sub(r"\1<secret>", line)
    if "@" in line:
        line = _EMAIL.sub("<email>", line)
    if _DIGIT.search(line):
        line = _MASKED.sub(_name, line)
    words = line.split()
    if len(words) > MAX_TOKENS:
        words = [*words[:MAX_TOKENS], REST]
    return " ".join(words)


def _name(match: re.Match[str]) -> str:
    return f"<{match.lastgroup}>"
