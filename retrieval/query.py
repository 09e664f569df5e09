"""An incident as a query: what its texts, metrics and labels say, without what only names one machine or moment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from models.domain.incident import Incident
from models.domain.signal import Signal

MAX_QUERY = 2_000
"""Characters. The embedder reads about the first 1,000 of them, the lexical index all."""
MAX_TEXT = 1_000
"""Characters of one signal's text: a pasted log must not push everything else out."""

_TEMPLATE = re.compile(r"\{\{.*?\}\}", re.DOTALL)
# A range, a label matcher, or an aggregation with its grouping: prose has none of them.
_PROMQL = re.compile(
    r"\[\d+(?:ms|[smhdwy])[^\]]*\]|\{[^{}]*=~?\s*\"|\b(?:by|without|on|ignoring)\s*\([\w\s,]*\)\s*[(\w]"
)
_NOT_METRICS = re.compile(
    r"#[^\n]*|\"[^\"]*\"|'[^']*'|\{(?:\"[^\"]*\"|'[^']*'|[^}\"'])*\}|\[[^\]]*\]"
    r"|\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)"
)
_NAME_MATCHER = re.compile(r"__name__\s*=\s*[\"']([^\"']+)[\"']")
_METRIC = re.compile(r"(?<![\w:.])[a-zA-Z_:][\w:]*(?!\s*\(|[\w:])")
_KEYWORDS = frozenset(
    [
        "and",
        "or",
        "unless",
        "bool",
        "offset",
        "inf",
        "nan",
        "by",
        "without",
        "on",
        "ignoring",
        "group_left",
        "group_right",
    ]
)

_UNTELLING_LABELS = frozenset(
    [
        "__name__",
        "alertname",
        "endpoint",
        "env",
        "environment",
        "id",
        "instance",
        "ip",
        "pod",
        "prometheus",
        "severity",
        "uid",
    ]
)
"""Labels that name a place or an object, not what is wrong with it (`alertname` is the signal's name)."""
# An address, a number, a hash or a generated suffix.
_UNTELLING_VALUE = re.compile(r"\d+(?:[.:]\d+)*|.*\b[0-9a-f]{8,}\b.*|\[?[0-9a-f:]+\]?(?::\d+)?", re.IGNORECASE)


def query_of(incident: Incident) -> str:
    """The incident's title, description, signals and culprit as one text of at most MAX_QUERY characters.

    Signals give their names, metrics, labels that say something, and texts, in this order and each thing once, so
    that one signal with a long text does not hide the others.
    """
    texts = [incident.title, incident.description[:MAX_TEXT]]
    texts += [part for signal in incident.signals for part in _names(signal)]
    if incident.culprit:
        texts += [incident.culprit.service, incident.culprit.metric or ""]
    texts += [signal.text[:MAX_TEXT] for signal in incident.signals]
    return query_text(texts)


def query_text(texts: Iterable[str], expressions: Iterable[str] = ()) -> str:
    """One query of several texts, each line once: template markers dropped, PromQL cut to its metric names.

    `expressions` are known to be PromQL; a line of `texts` that reads as PromQL is treated the same.
    """
    lines = [line for text in texts for line in _lines(text)]
    lines += [" ".join(metric_names(expression)) for expression in expressions]
    return "\n".join(dict.fromkeys(line for line in lines if line))[:MAX_QUERY]


def metric_names(expression: str) -> list[str]:
    """The metrics that a PromQL expression names, each once, in order; of an invalid one, what can be told."""
    bare = _NOT_METRICS.sub(" ", expression)
    names = [*_NAME_MATCHER.findall(expression), *_METRIC.findall(bare)]
    return list(dict.fromkeys(name for name in names if name.lower() not in _KEYWORDS))


def _lines(text: str) -> Iterator[str]:
    for line in _TEMPLATE.sub(" ", text).splitlines():
        yield " ".join(metric_names(line) if _PROMQL.search(line) else line.split())


def _names(signal: Signal) -> Iterator[str]:
    yield signal.name
    yield signal.metric or ""
    for name, value in sorted(signal.labels.items()):
        if name not in _UNTELLING_LABELS and not _UNTELLING_VALUE.fullmatch(value):
            yield f"{name} {value}"
