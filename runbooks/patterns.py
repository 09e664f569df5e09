"""Regular expressions over text from outside: matched in linear time, whatever the pattern and the text are.

Dialect: RE2 (https://github.com/google/re2/wiki/Syntax), which has neither look-around nor back references.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from typing import Any


class BadPattern(ValueError):
    """A pattern that cannot be used. The message is for a person."""


def matches_whole(pattern: str, text: str) -> bool:
    r"""Whether the pattern matches the whole text; `\w`, `\d` and `\s` are ASCII. Raises BadPattern."""
    return compiled(pattern).fullmatch(text) is not None


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> Any:
    """The compiled pattern of RE2. Raises BadPattern."""
    re2 = import_module("re2")  # it has no types
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        words = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
        raise BadPattern(f"{words} (RE2: no look-around, no back references)") from error
