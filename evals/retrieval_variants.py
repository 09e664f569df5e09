"""Labelled alerts and their runbooks, made poorer: what other projects' corpora look like."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from evals.retrieval import LabelledAlert, Mode, labelled_alerts
from models.domain.runbook import Document
from runbooks.loader import load_corpus

_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
_METRIC_NAME = re.compile(r"\b\w+_\w+\b")
_MEANING = re.compile(r"^## Meaning\b.*?(?=^## |\Z)", re.DOTALL | re.MULTILINE)
_GROUP = re.compile(r"[a-z]+|[A-Z]+(?![a-z])|[A-Z][a-z]+")

ALERT_VARIANTS = ("whole", "first sentence", "summary only", "no metric names")
"""As it is; the description's first sentence without the summary; the summary without the description; identifiers with
underscores, and the expression, left out."""
CORPUS_VARIANTS = ("whole", "no meaning")
"""As it is; without front matter and without the section that says when the alert fires."""


@dataclass(frozen=True)
class Asked:
    """One query with its right answer. `group` is the first word of the alert's name (Kube, Node, etcd)."""

    alert: str
    group: str
    gold: str
    mode: Mode
    variant: str
    query: str


def queries(alerts: Path, stems: frozenset[str]) -> list[Asked]:
    """Every labelled alert in every mode and variant, without what is empty then and what a variant does not change.

    Raises BadInput as `evals.retrieval` does.
    """
    return [one for alert in labelled_alerts(alerts, stems) for one in _of_alert(alert)]


def _of_alert(alert: LabelledAlert) -> Iterator[Asked]:
    for mode in get_args(Mode):
        seen: set[str] = set()
        for variant in ALERT_VARIANTS:
            query = _poorer(alert, variant).query(mode)
            if query and query not in seen:
                seen.add(query)
                yield Asked(alert.id, group_of(alert.alert), alert.gold_runbook or "", mode, variant, query)


def group_of(alert: str) -> str:
    """The first word of an alert's name: alerts of one exporter or component share it."""
    found = _GROUP.match(alert)
    return found.group() if found else alert


def _poorer(alert: LabelledAlert, variant: str) -> LabelledAlert:
    summary, description = alert.summary or "", alert.description or ""
    changes = {
        "whole": {},
        "first sentence": {"summary": "", "description": _SENTENCE.split(description)[0]},
        "summary only": {"description": "" if summary else description},
        "no metric names": {
            "summary": _METRIC_NAME.sub(" ", summary),
            "description": _METRIC_NAME.sub(" ", description),
            "expr": None,
        },
    }
    return alert.model_copy(update=changes[variant])


def corpus(runbooks: Path, variant: str) -> Sequence[Document]:
    """The runbooks of a folder in a variant of CORPUS_VARIANTS."""
    documents = load_corpus([runbooks]).documents
    if variant == "whole":
        return documents
    bodies = (document.text[document.body_start :] for document in documents)
    return [
        document.model_copy(
            update={
                "text": _MEANING.sub("", body),
                "title": Path(document.path).stem,
                "body_start": 0,
                "metadata": {},
                "runbook": None,
            }
        )
        for document, body in zip(documents, bodies, strict=True)
    ]
