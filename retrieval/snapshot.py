"""What an index serves from: passages, documents and lexical indexes of one instant, never changed once made."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from models.domain.base import canonical_json, sha256_hex
from models.domain.runbook import Document, DocumentKind, Passage
from retrieval.chunks import CHUNKS_VERSION
from retrieval.lexical import LexicalIndex, count_terms
from retrieval.stores import Stores
from retrieval.vectors import Entry, Vectors, matrix
from retrieval.words import split_code, split_identifier

SAMPLE = 1_024  # enough for a mean and a spread: their standard errors are then about 3 % of the spread

TEXT_VERSION = 1
"""Raise it when `embedded_text` or `embedded_title` change: documents are then embedded again."""


@dataclass(frozen=True)
class Record:
    """A document as the index knows it. Writing it is what makes its passages count."""

    id: str
    kind: DocumentKind
    title: str
    hash: str
    passages: int


@dataclass(frozen=True)
class Sample:
    """Vectors that stand for the whole corpus, all of them while it is small: they say what similarity is usual."""

    passages: Vectors
    """Of whole documents, [rows, dimension]; one document's rows stand together."""
    first: NDArray[np.intp]
    """The row where each document begins."""
    titles: Vectors

    @property
    def dimension(self) -> int:
        """The vectors' size; 0 where the index is empty."""
        return int(self.titles.shape[1])


@dataclass(frozen=True)
class Snapshot:
    """One instant of the index. Rows of `passages`, `ids`, `owner` and `passage_words` belong together, as do
    rows of `records` and `document_words`; `owner` is the row of a passage's record.
    """

    passages: tuple[Passage, ...]
    ids: tuple[str, ...]
    owner: NDArray[np.intp]
    records: tuple[Record, ...]
    passage_words: LexicalIndex
    document_words: LexicalIndex
    sample: Sample
    rows: Mapping[str, int]
    """Passage id → row."""
    record_rows: Mapping[str, int]
    """Document id → row."""

    def of_document(self, id_: str) -> tuple[Passage, ...]:
        """The passages of a document, in the order of its text."""
        row = self.record_rows.get(id_)
        return () if row is None else tuple(self.passages[place] for place in np.flatnonzero(self.owner == row))


def content_hash(document: Document) -> str:
    """Equal as long as nothing that the index holds of the document would differ."""
    content = [CHUNKS_VERSION, TEXT_VERSION, document.kind, document.title, document.body_start, document.text]
    return sha256_hex(canonical_json(content))


def embedded_title(title: str) -> str:
    """A title as the embedder sees it: one identifier is taken apart, for its word pieces say nothing."""
    return title if " " in title.strip() else split_identifier(title) or title


def embedded_text(passage: Passage) -> str:
    """A passage as the embedder sees it: the document's title and the headings first, which a section relies on."""
    headings = " > ".join(heading for heading in passage.headings if heading != passage.title)
    return f"{embedded_title(passage.title)}\n{headings}\n{_without_headings(passage.text)}"


def record_entry(record: Record) -> Entry:
    """The record as it is kept."""
    metadata = {"kind": record.kind, "hash": record.hash, "passages": record.passages}
    return Entry(record.id, record.title, metadata)


def passage_entry(passage: Passage, number: int, hash_: str) -> Entry:
    """A passage as it is kept; the id holds the document's hash, so that old and new stand side by side."""
    metadata = {
        "document": passage.document,
        "hash": hash_,
        "kind": passage.kind,
        "number": number,
        "headings": canonical_json(passage.headings),
        "start": passage.start,
        "end": passage.end,
    }
    return Entry(f"{passage.document}@{hash_[:16]}#{number}", passage.text, metadata)


def load_snapshot(stores: Stores) -> Snapshot:
    """The snapshot of what the collections hold.

    Passages without a record of their hash (left by a sync that did not end) are passed over, and so is a document
    whose passages are not all there with the spans that they were given: the next sync embeds it again.
    """
    found: dict[tuple[Any, Any], list[Entry]] = defaultdict(list)
    for entry in stores.passages.entries():
        found[entry.metadata.get("document"), entry.metadata.get("hash")].append(entry)
    records: list[Record] = []
    passages: list[Passage] = []
    ids: list[str] = []
    owner: list[int] = []
    for entry in sorted(stores.documents.entries(), key=lambda entry: entry.id):
        record = _record(entry)
        own = _passages(record, found[record.id, record.hash]) if record else None
        if record is None or own is None:
            continue
        for id_, passage in own:
            passages.append(passage)
            ids.append(id_)
            owner.append(len(records))
        records.append(record)
    return _snapshot(stores, records, passages, ids, owner)


def _snapshot(
    stores: Stores, records: list[Record], passages: list[Passage], ids: list[str], owner: list[int]
) -> Snapshot:
    owners = np.array(owner, np.intp)
    passage_words, document_words = _words(passages, owners, records)
    return Snapshot(
        passages=tuple(passages),
        ids=tuple(ids),
        owner=owners,
        records=tuple(records),
        passage_words=passage_words,
        document_words=document_words,
        sample=_sample(stores, records, ids, owners),
        rows={id_: row for row, id_ in enumerate(ids)},
        record_rows={record.id: row for row, record in enumerate(records)},
    )


def _sample(stores: Stores, records: list[Record], ids: list[str], owner: NDArray[np.intp]) -> Sample:
    rows = np.flatnonzero(owner % _step(len(ids)) == 0)
    return Sample(
        passages=matrix(stores.passages, [ids[row] for row in rows]),
        first=np.unique(owner[rows], return_index=True)[1],
        titles=matrix(stores.documents, [record.id for record in records[:: _step(len(records))]]),
    )


def _step(count: int) -> int:
    """Every how many-th is taken so that about SAMPLE remain."""
    return max(1, -(-count // SAMPLE))


def _record(entry: Entry) -> Record | None:
    kept = entry.metadata
    if not {"kind", "hash", "passages"} <= kept.keys():
        return None
    return Record(entry.id, kept["kind"], entry.text, kept["hash"], kept["passages"])


def _passages(record: Record, entries: list[Entry]) -> list[tuple[str, Passage]] | None:
    """The document's passages in order; None where one is missing or does not have the length of its span."""
    if len(entries) != record.passages:
        return None
    found: list[tuple[str, Passage]] = []
    try:
        for entry in sorted(entries, key=lambda entry: entry.metadata["number"]):
            kept = entry.metadata
            passage = Passage(
                document=record.id,
                kind=record.kind,
                title=record.title,
                headings=json.loads(kept["headings"]),
                start=kept["start"],
                end=kept["end"],
                text=entry.text,
            )
            found.append((entry.id, passage))
    except (KeyError, ValueError, ValidationError):
        return None
    return found if all(len(p.text) == p.end - p.start for _, p in found) else None


def _without_headings(text: str) -> str:
    """A passage starts with the heading of its section, and `headings` has it already."""
    first, _, rest = text.partition("\n")
    return rest if first.startswith("#") else text


def _words(
    passages: Sequence[Passage], owner: NDArray[np.intp], records: Sequence[Record]
) -> tuple[LexicalIndex, LexicalIndex]:
    """The lexical indexes of passages and of documents. The text, by far the most, is taken apart once for both."""
    parts = [split_code(_without_headings(passage.text)) for passage in passages]
    prose, code = (count_terms(part[place] for part in parts) for place in (0, 1))
    titles = count_terms(record.title for record in records)
    # Each heading once, however many passages stand below it.
    headings: list[dict[str, None]] = [{} for _ in records]
    for row, passage in zip(owner, passages, strict=True):
        headings[row].update(dict.fromkeys(passage.headings))
    of_passages = {
        "title": count_terms(passage.title for passage in passages),
        "headings": count_terms("\n".join(passage.headings) for passage in passages),
        "prose": prose,
        "code": code,
    }
    of_documents = {
        "title": titles,
        "headings": count_terms("\n".join(own) for own in headings),
        "prose": prose.joined(owner, len(records)),
        "code": code.joined(owner, len(records)),
    }
    return LexicalIndex(of_passages), LexicalIndex(of_documents)
