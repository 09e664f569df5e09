"""What senders of logs write, as lines: our own form, OTLP/HTTP in JSON, and Loki's push API. Each line by itself.

The three are told apart by the member that each has: `logs` (or a bare list), `resourceLogs`, `streams`.
https://opentelemetry.io/docs/specs/otlp/#otlphttp, https://grafana.com/docs/loki/latest/reference/loki-http-api/
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from models.detection.logs.levels import UNKNOWN, level_in, level_named, level_numbered
from models.detection.logs.lines import LogLine, Owner
from models.domain.errors import BadInput
from service.instants import read_instant
from service.json_input import Problem
from service.otlp import attributes, each, member, plain

MAX_LINES = 100_000
"""In one request; more come in several."""
MAX_NAME = 200
"""Characters of a service's or an environment's name."""

_FIELDS = ("at", "service", "environment", "level", "message", "labels")
_SERVICE = ("service", "service.name", "service_name", "app", "job", "container")
_ENVIRONMENT = ("environment", "deployment.environment.name", "deployment.environment", "env")
_LEVEL = ("level", "severity", "detected_level", "lvl")
_MESSAGE = ("message", "msg", "event", "error")
_JSON_AT_MOST = 65_536


@dataclass
class ReadLines:
    """The lines of one body, and what is wrong with the others."""

    lines: list[LogLine] = field(default_factory=list)
    refused: list[Problem] = field(default_factory=list)


@dataclass(frozen=True)
class _Item:
    """One line before it is checked."""

    path: str
    at: object
    level: str | None
    text: object
    labels: Mapping[str, Any]


def read_lines(body: Any, now: datetime, retention: timedelta) -> ReadLines:
    """The lines of a JSON value. A line without a time is of `now`. Raises BadInput where it is no form as a whole."""
    read = ReadLines()
    for number, item in enumerate(_items(body)):
        if number >= MAX_LINES:
            raise BadInput(f"more than {MAX_LINES} lines in one request; send several", where="$")
        try:
            read.lines.append(_line(item, now, retention) if isinstance(item, _Item) else _refuse(item))
        except BadInput as error:
            read.refused.append(Problem(path=error.where or "$", problem=error.problem))
    return read


def _refuse(error: BadInput) -> LogLine:
    raise error


def _items(body: Any) -> Iterator[_Item | BadInput]:
    if isinstance(body, dict) and "resourceLogs" in body:
        return _otlp(body["resourceLogs"])
    if isinstance(body, dict) and "streams" in body:
        return _loki(body["streams"])
    items, root = (body.get("logs"), "$.logs") if isinstance(body, dict) else (body, "$")
    if not isinstance(items, list) or not items:
        words = 'send a list of {message, at?, service?, level?, labels?} that is not empty, or {"logs": [...]}'
        raise BadInput(f"{words}; OTLP (resourceLogs) and Loki (streams) in JSON are taken too", where=root)
    return _own(items, root)


def _own(items: list[Any], root: str) -> Iterator[_Item | BadInput]:
    for place, item in enumerate(items):
        path = f"{root}[{place}]"
        if not isinstance(item, dict):
            yield BadInput("write an object {message, at?, service?, level?, labels?}", where=path)
            continue
        labels = item.get("labels", {})
        unknown = next((name for name in item if name not in _FIELDS), None)
        if unknown is not None:
            yield BadInput(f"unknown field; there are {', '.join(_FIELDS)}", where=f"{path}.{unknown[:100]}")
        elif not isinstance(labels, dict):
            yield BadInput("write an object of label names and texts", where=f"{path}.labels")
        elif "message" not in item:
            yield BadInput("missing", where=f"{path}.message")
        else:
            named = {name: item[name] for name in ("service", "environment") if item.get(name) is not None}
            level = item.get("level")
            written = level_named(level) if isinstance(level, str) else None
            yield _Item(path, item.get("at"), written, item["message"], {**labels, **named})


def _otlp(resources: Any) -> Iterator[_Item | BadInput]:
    for path, resource in each(resources, "$.resourceLogs"):
        labels = attributes(member(resource, "resource"))
        for scope_path, scope in each(member(resource, "scopeLogs"), f"{path}.scopeLogs"):
            for record_path, record in each(member(scope, "logRecords"), f"{scope_path}.logRecords"):
                if not isinstance(record, dict):
                    yield BadInput("write an object", where=record_path)
                    continue
                number, text = record.get("severityNumber"), record.get("severityText")
                level = level_numbered(number) if isinstance(number, int) else None
                level = level or (level_named(text) if isinstance(text, str) else None)
                at = _nanoseconds(record.get("timeUnixNano") or record.get("observedTimeUnixNano"))
                yield _Item(record_path, at, level, plain(record.get("body")), {**attributes(record), **labels})


def _loki(streams: Any) -> Iterator[_Item | BadInput]:
    for path, stream in each(streams, "$.streams"):
        labels = member(stream, "stream") or {}
        for value_path, value in each(member(stream, "values"), f"{path}.values"):
            if not isinstance(value, list) or len(value) < 2 or not isinstance(labels, dict):
                yield BadInput('write ["<unix nanoseconds>", "<line>"], and labels as an object', where=value_path)
                continue
            level = next((level_named(str(labels[name])) for name in _LEVEL if name in labels), None)
            yield _Item(value_path, _nanoseconds(value[0]), level, value[1], labels)


def _nanoseconds(given: Any) -> object:
    if isinstance(given, str) and given.isascii() and given.isdecimal() and len(given) <= 19:
        return int(given) / 1e9
    return given / 1e9 if isinstance(given, int) and not isinstance(given, bool) and given < 1 << 63 else given


def _line(item: _Item, now: datetime, retention: timedelta) -> LogLine:
    text, level = item.text, item.level
    if not isinstance(text, str):
        raise BadInput(f"write a text, not {type(text).__name__}", where=f"{item.path}.message")
    at = now.timestamp()
    if item.at is not None:
        try:
            at = read_instant(item.at, now, retention)
        except ValueError as error:
            raise BadInput(str(error), where=f"{item.path}.at") from error
    if text.startswith("{") and len(text) <= _JSON_AT_MOST:
        text, written = _from_json(text)
        level = level or written
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()  # half of a surrogate pair is no text
    return LogLine(at, _owner(item), level or level_in(text) or UNKNOWN, text)


def _from_json(text: str) -> tuple[str, str | None]:
    """The message and the level of a line that is a JSON object itself, as many loggers write."""
    try:
        held = json.loads(text)
    except (ValueError, RecursionError):
        return text, None
    message = next((held[name] for name in _MESSAGE if isinstance(held.get(name), str)), text)
    level = next((level_named(held[name]) for name in _LEVEL if isinstance(held.get(name), str)), None)
    return message, level


def _owner(item: _Item) -> Owner:
    return _name(item, _SERVICE), _name(item, _ENVIRONMENT)


def _name(item: _Item, labels: tuple[str, ...]) -> str:
    value = next((item.labels[name] for name in labels if item.labels.get(name)), "")
    if not isinstance(value, str) or len(value) > MAX_NAME or not value.isprintable():
        raise BadInput(f"a name has at most {MAX_NAME} printable characters", where=f"{item.path}.{labels[0]}")
    return value
