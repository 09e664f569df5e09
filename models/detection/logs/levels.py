"""How bad a log line is: one scale for what loggers, OpenTelemetry and syslog write."""

from __future__ import annotations

import re

UNKNOWN = "unknown"
LEVELS = ("debug", "info", "warning", "error", "critical")
ERRORS = frozenset({"error", "critical"})
"""Levels at which something went wrong."""

_NAMES = {
    "trace": "debug", "debug": "debug", "fine": "debug", "info": "info", "information": "info", "notice": "info",
    "warn": "warning", "warning": "warning", "error": "error", "err": "error", "severe": "error", "fatal": "critical",
    "critical": "critical", "crit": "critical", "alert": "critical", "emerg": "critical", "emergency": "critical",
    "panic": "critical",
}  # fmt: skip
# Loggers write the level in capitals near the beginning, or as `level=…`; a word "error" in prose says nothing.
_WRITTEN = re.compile(r"\b(TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|SEVERE|FATAL|CRIT(?:ICAL)?|PANIC|EMERG)\b")
_PAIR = re.compile(r"\b(?:level|severity|lvl)\s*[=:]\s*\"?([A-Za-z]+)")
_LOOKED_AT = 120


def level_named(name: str) -> str | None:
    """The level of a name as loggers write it (`WARN`, `fatal`); None where it is none."""
    return _NAMES.get(name.strip().lower())


def level_numbered(number: int) -> str | None:
    """The level of a severity number of OpenTelemetry, 1 to 24; None outside.

    https://opentelemetry.io/docs/specs/otel/logs/data-model/#field-severitynumber
    """
    if not 1 <= number <= 24:
        return None
    return ("debug", "debug", "info", "warning", "error", "critical")[(number - 1) // 4]


def level_in(text: str) -> str:
    """The level that a line says itself, `unknown` where it says none."""
    head = text[:_LOOKED_AT]
    found = _PAIR.search(head) or _WRITTEN.search(head)
    return (level_named(found[1]) if found else None) or UNKNOWN
