"""Measures facts: rows of queries, pages, certificates, files, the topology, and what is declared."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from models.domain.base import Clock
from models.domain.errors import BadInput, Unavailable
from models.domain.signal import Sample
from models.domain.topology import Topology
from service.checks import READING_SECONDS, SqlReader
from service.http_reading import answer_of
from service.ports import Source
from service.standing_checks import certificates
from service.standing_checks.format import FactSource

_MOST_BYTES = 1_000_000
"""Of a page, as text and JSON. A larger one cannot be measured; a file of any size has its hash."""
_MOST_ROWS = 10_000


@dataclass(frozen=True)
class Means:
    """Whom facts are asked of."""

    source: Source
    topology: Topology
    clock: Clock
    sql: SqlReader | None = None

    def rows(self, query: str | None, sql: str | None) -> list[Sample]:
        """The rows of a PromQL query or a statement now. Raises BadInput (cannot be asked) or Unavailable."""
        at = self.clock()
        if query is not None:
            found = self.source.query(query, at)
        elif self.sql is None:
            raise BadInput("sql needs a section executors.sql in the settings, with the database and the statement")
        else:
            found = self.sql.read(sql or "", at, READING_SECONDS)
        if len(found) > _MOST_ROWS:
            raise BadInput(f"there are {len(found):,} rows; {_MOST_ROWS:,} at most: narrow or sum them")
        return found

    def fact(self, wanted: FactSource) -> Any:
        """What `facts.NAME` is in `when`. Raises BadInput or Unavailable where it cannot be measured."""
        if wanted.query is not None or wanted.sql is not None:
            return _of_rows(self.rows(wanted.query, wanted.sql), wanted)
        if wanted.certificate is not None:
            return certificates.of_server(wanted.certificate, wanted.server_name, wanted.ca, self.clock())
        if wanted.certificate_file is not None:
            return certificates.of_file(wanted.certificate_file, self.clock())
        if wanted.topology is not None:
            return {"names": sorted(self.topology.services)}
        return _content_of(wanted)


def row_variable(sample: Sample) -> dict[str, Any]:
    """A row as `when` sees it."""
    labels = {name: value for name, value in sample.labels.items() if name != "__name__"}
    return {"value": sample.value, "labels": labels, "metric": sample.metric}


def _of_rows(samples: Sequence[Sample], wanted: FactSource) -> dict[str, Any]:
    if not samples and wanted.empty == "unknown":
        raise Unavailable("there is no data")
    label = wanted.label
    rows = [row_variable(sample) for sample in samples if not math.isnan(sample.value)]
    found: dict[str, Any] = {"rows": rows, "count": len(rows)}
    if label is not None:
        found["names"] = sorted({row["labels"][label] for row in rows if label in row["labels"]})
    if len(rows) == 1:
        found["value"] = rows[0]["value"]
    return found


def _content_of(wanted: FactSource) -> Any:
    if wanted.http is not None:
        status, body = answer_of(wanted.http, READING_SECONDS, _MOST_BYTES)
        return {"status": status} | _of_content(body)
    return _of_file(wanted.file) if wanted.file is not None else wanted.value


def _of_file(path: Path) -> dict[str, Any]:
    try:
        status = path.stat()
        with path.open("rb") as file:
            body = file.read(_MOST_BYTES + 1)
            digest = hashlib.sha256(body)
            while block := file.read(_MOST_BYTES):
                digest.update(block)
    except FileNotFoundError:
        return {"exists": False}
    except OSError as error:
        raise Unavailable(f"{path} cannot be read: {error.strerror}") from error
    found: dict[str, Any] = {"exists": True, "size": status.st_size, "modified_at": _time(status.st_mtime)}
    whole = len(body) <= _MOST_BYTES
    return found | (_of_content(body) if whole else {"sha256": digest.hexdigest()})


def _of_content(body: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {"sha256": hashlib.sha256(body).hexdigest()}
    try:
        found["text"] = body.decode("utf-8")
        found["json"] = json.loads(found["text"])
    except (ValueError, RecursionError):
        pass  # no text, or no JSON: then it has none
    return found


def _time(seconds: float) -> str:
    from datetime import UTC

    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
