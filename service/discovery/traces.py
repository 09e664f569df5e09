"""Spans in, calls between services out: a span calls where its parent is another service's.

OTLP/HTTP in JSON, https://opentelemetry.io/docs/specs/otlp/#otlphttp. The spans of one trace come from several senders,
in any order: the last ones are remembered, in memory, so a call whose two spans reach two replicas is not seen.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from models.domain.errors import BadInput
from service.discovery.book import MAX_NAME
from service.json_input import Problem
from service.otlp import attributes, each, member
from service.store.topology import Ends

REMEMBERED = 100_000
"""Spans, of each of two kinds: those that may yet be a parent, and parents that are waited for."""
MAX_SPANS = 100_000
"""In one request; more come in several."""
MAX_ID = 64
"""Characters of an identifier: OTLP's have 32 and 16."""
_PEER = ("peer.service", "service.peer.name")

Key = tuple[str, str]


@dataclass
class ReadSpans:
    """What a body said, and what is wrong with the rest."""

    spans: int = 0
    calls: Counter[Ends] = field(default_factory=Counter)
    refused: list[Problem] = field(default_factory=list)


@dataclass(frozen=True)
class _Span:
    key: Key
    parent: Key | None
    service: str
    peer: str | None
    """The service that it says it calls."""


class TraceReader:
    """Remembers the last spans, so that a parent that came in another request is found. Safe to share by threads."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._lock = threading.Lock()
        self._spans: OrderedDict[Key, tuple[str, str | None]] = OrderedDict()
        self._awaited: OrderedDict[Key, list[str]] = OrderedDict()

    def read(self, body: Any) -> ReadSpans:
        """The calls that a JSON body shows. Raises BadInput where it is no traces of OTLP as a whole."""
        if not isinstance(body, dict) or "resourceSpans" not in body:
            raise BadInput("send OTLP traces in JSON: an object with a list resourceSpans", where="$")
        read = ReadSpans()
        found: list[_Span] = []
        for item in _items(body["resourceSpans"]):
            if isinstance(item, _Span):
                found.append(item)
            else:
                read.refused.append(Problem(path=item.where or "$", problem=item.problem))
            if len(found) > MAX_SPANS:
                raise BadInput(f"more than {MAX_SPANS} spans in one request; send several", where="$")
        with self._lock:
            for span in found:
                self._take(span, read.calls)
        read.spans = len(found)
        return read

    def _take(self, span: _Span, calls: Counter[Ends]) -> None:
        if span.key in self._spans:  # sent again: counted already
            return
        self._keep(self._spans, span.key, (span.service, span.peer))
        if span.peer is not None:
            calls[span.service, span.peer] += 1
        for child in self._awaited.pop(span.key, ()):
            _count(calls, (span.service, span.peer), child)
        if span.parent is None:
            return
        if span.parent in self._spans:
            _count(calls, self._spans[span.parent], span.service)
        elif span.parent in self._awaited:
            self._awaited[span.parent].append(span.service)
        else:
            self._keep(self._awaited, span.parent, [span.service])

    def _keep(self, memory: OrderedDict[Key, Any], key: Key, value: object) -> None:
        memory[key] = value
        if len(memory) > self._remembered:
            memory.popitem(last=False)


def _count(calls: Counter[Ends], parent: tuple[str, str | None], child: str) -> None:
    service, peer = parent
    # What the caller named itself was counted when its span came.
    if child not in (service, peer):
        calls[service, child] += 1


def _items(resources: Any) -> Iterator[_Span | BadInput]:
    for path, resource in each(resources, "$.resourceSpans"):
        service = attributes(member(resource, "resource")).get("service.name")
        for scope_path, scope in each(member(resource, "scopeSpans"), f"{path}.scopeSpans"):
            for span_path, span in each(member(scope, "spans"), f"{scope_path}.spans"):
                try:
                    yield _span(span, service, span_path, path)
                except BadInput as error:
                    yield error


def _span(span: Any, service: Any, path: str, resource: str) -> _Span:
    if not isinstance(service, str) or not service or len(service) > MAX_NAME or not service.isprintable():
        words = f"service.name must be a text of at most {MAX_NAME} printable characters"
        raise BadInput(words, where=f"{resource}.resource.attributes")
    trace = _identifier(span, "traceId", path)
    parent = member(span, "parentSpanId")
    peer = next((value for name in _PEER if isinstance(value := attributes(span).get(name), str) and value), None)
    return _Span(
        key=(trace, _identifier(span, "spanId", path)),
        parent=(trace, _identifier(span, "parentSpanId", path)) if parent else None,
        service=service,
        peer=peer if peer != service else None,
    )


def _identifier(span: Any, name: str, path: str) -> str:
    value = member(span, name)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ID:
        raise BadInput(f"write an identifier of at most {MAX_ID} characters", where=f"{path}.{name}")
    return value
