"""The examples of the corpus in the OpenAPI document."""

from __future__ import annotations

from service.api.examples import CORPUS_PROBLEM, Json

_AT = "2026-01-31T12:00:00Z"
_COMMIT = "3f1d0c5a9be24c7d8a6f7b0e5c4d3a2b1f0e9d8c"
_URL = f"https://github.com/acme/runbooks/blob/{_COMMIT}/ops/disk-full.md"

_SOURCE: Json = {
    "name": "team", "kind": "git", "place": "https://github.com/acme/runbooks.git", "ref": "main", "under": "",
    "actions": False, "documents": "runbook", "link": "https://github.com/acme/runbooks/blob/{ref}/{path}",
    "added_at": _AT, "added_by": "cli:ada",
}  # fmt: skip
_OUTCOME: Json = {
    "source": "team", "state": "ok", "at": _AT, "ref": _COMMIT, "added": 2, "changed": 1, "removed": 0,
    "unchanged": 37, "problems": 1, "error": None,
}  # fmt: skip
_FAILED: Json = {
    "source": "wiki", "state": "failed", "at": _AT, "ref": None, "added": 0, "changed": 0, "removed": 0,
    "unchanged": 0, "problems": 0,
    "error": "/exports/ops.zip does not exist; mount or restore it, or remove the source",
}  # fmt: skip

CORPUS_STATS: Json = {
    "documents": 59, "passages": 412, "embedder": "all-MiniLM-L6-v2/fp32", "bytes_on_disk": 3_481_600,
    "shares": [
        {"source": "(folders)", "kind": "runbook", "documents": 19, "with_actions": 19, "passages": 96},
        {"source": "team", "kind": "runbook", "documents": 40, "with_actions": 0, "passages": 316},
    ],
    "sources": [{"source": _SOURCE, "last": _OUTCOME, "withheld": 3}], "problems": [CORPUS_PROBLEM],
}  # fmt: skip
CORPUS_SYNC: Json = {"sources": [_OUTCOME, _FAILED]}
FOUND_PASSAGE: Json = {
    "document": "team.ops.disk-full", "kind": "runbook", "title": "Disk is full", "headings": ["Disk is full"],
    "start": 0, "end": 41, "text": "# Disk is full\n\nLook for large logs first.", "score": 3.1, "lexical": 7.4,
    "dense": 0.61, "path": f"https://github.com/acme/runbooks.git@{_COMMIT[:12]}:ops/disk-full.md", "url": _URL,
}  # fmt: skip
