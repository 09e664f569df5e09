"""How often retrieval finds the runbook that an alert names: recall and mean reciprocal rank on labelled alerts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.domain.errors import BadInput
from retrieval.embedding import Embedder
from retrieval.index import PassageIndex
from retrieval.query import query_text
from runbooks.loader import load_corpus

Mode = Literal["name", "desc", "expr"]
"""What is asked: alert name + summary + description; summary + description; description and expression as well."""

DEPTH = 10
"""Places of the ranking that are reported; a gold runbook below counts as not found."""


class LabelledAlert(BaseModel):
    """One line of the file of alerts. Other fields are ignored; a row without `gold_runbook` is left out."""

    model_config = ConfigDict(frozen=True)

    id: str = Field(min_length=1)
    alert: str = ""
    summary: str | None = None
    description: str | None = None
    expr: str | None = None
    gold_runbook: str | None = None

    def query(self, mode: Mode) -> str:
        """What is asked of retrieval in this mode."""
        texts = [self.summary or "", self.description or ""]
        if mode == "name":
            texts.insert(0, self.alert)
        return query_text(texts, [self.expr] if mode == "expr" and self.expr else [])


def run_retrieval(alerts: Path, runbooks: Path, mode: Mode, embedder: Embedder | None = None) -> dict[str, Any]:
    """Ranks the runbooks for every labelled alert: {n, recall_at_1, recall_at_3, recall_at_5, mrr, rows}.

    `alerts` is a JSONL file, `runbooks` a folder of Markdown whose file stems the labels name; a row is
    {id, gold, ranked}, `ranked` holding DEPTH stems, best first. `embedder` defaults to MiniLM.

    Raises BadInput with file and line for a row that cannot be read or names a runbook that is not there.
    """
    if mode not in ("name", "desc", "expr"):
        raise BadInput(f"there is no mode {mode!r}; it is name, desc or expr")
    if not runbooks.is_dir():
        raise BadInput("this is not a folder of runbooks", where=str(runbooks))
    documents = load_corpus([runbooks]).documents
    stems = {document.id: Path(document.path).stem for document in documents}
    labelled = list(labelled_alerts(alerts, frozenset(stems.values())))
    index = PassageIndex(None, embedder or _default_embedder())
    index.sync(documents)
    rows = [
        {
            "id": alert.id,
            "gold": alert.gold_runbook,
            "ranked": [stems[found.document] for found in index.documents(alert.query(mode), DEPTH)],
        }
        for alert in labelled
    ]
    return {**_figures(rows), "rows": rows}


def _default_embedder() -> Embedder:
    from retrieval.minilm import build

    return build({})


def labelled_alerts(path: Path, stems: frozenset[str]) -> Iterator[LabelledAlert]:
    """The labelled rows of a JSONL file. `stems` are the runbooks that there are. Raises BadInput with the line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"the alerts cannot be read: {error}", where=str(path)) from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            alert = LabelledAlert.model_validate(json.loads(line))
        except json.JSONDecodeError as error:
            raise BadInput(f"not JSON: {error.msg} at column {error.colno}", where=where) from error
        except ValidationError as error:
            first = error.errors()[0]
            raise BadInput(f"{'.'.join(map(str, first['loc'])) or 'the row'}: {first['msg']}", where=where) from error
        if alert.gold_runbook is None:
            continue
        if alert.gold_runbook not in stems:
            raise BadInput(f"gold_runbook {alert.gold_runbook!r} is not the stem of any runbook there", where=where)
        yield alert


def _figures(rows: list[dict[str, Any]]) -> dict[str, float]:
    places = [row["ranked"].index(row["gold"]) + 1 if row["gold"] in row["ranked"] else None for row in rows]
    count = max(1, len(rows))
    recall = {f"recall_at_{k}": sum(1 for place in places if place and place <= k) / count for k in (1, 3, 5)}
    return {"n": len(rows), **recall, "mrr": sum(1 / place for place in places if place) / count}
