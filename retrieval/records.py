"""Documents and passages as the index keeps them: entries with metadata, and back."""

from __future__ import annotations

import json
from dataclasses import dataclass

from pydantic import ValidationError

from models.domain.base import canonical_json, sha256_hex
from models.domain.runbook import Document, DocumentKind, Passage
from retrieval.chunks import CHUNKS_VERSION
from retrieval.facts import Facts, facts_entry, facts_from, facts_of
from retrieval.vectors import Entry
from retrieval.words import split_identifier

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
    facts: Facts


def record_for(document: Document, hash_: str, passages: int) -> Record:
    """The record of a document that was cut into so many passages."""
    return Record(document.id, document.kind, document.title, hash_, passages, facts_of(document))


def content_hash(document: Document) -> str:
    """Equal as long as nothing that the index holds of the document would differ."""
    versions, facts = [CHUNKS_VERSION, TEXT_VERSION], facts_entry(facts_of(document))
    content = [*versions, document.kind, document.title, document.body_start, document.text, facts]
    return sha256_hex(canonical_json(content))


def embedded_title(title: str) -> str:
    """A title as the embedder sees it: one identifier is taken apart, for its word pieces say nothing."""
    return title if " " in title.strip() else split_identifier(title) or title


def embedded_text(passage: Passage) -> str:
    """A passage as the embedder sees it: the document's title and the headings first, which a section relies on."""
    headings = " > ".join(heading for heading in passage.headings if heading != passage.title)
    return f"{embedded_title(passage.title)}\n{headings}\n{without_headings(passage.text)}"


def record_entry(record: Record) -> Entry:
    """The record as it is kept."""
    metadata = {"kind": record.kind, "hash": record.hash, "passages": record.passages, **facts_entry(record.facts)}
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


def record_of(entry: Entry) -> Record | None:
    """What `record_entry` made; None where it is something else."""
    kept = entry.metadata
    if not {"kind", "hash", "passages"} <= kept.keys():
        return None
    return Record(entry.id, kept["kind"], entry.text, kept["hash"], kept["passages"], facts_from(kept))


def passages_from(record: Record, entries: list[Entry]) -> list[tuple[str, Passage]] | None:
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


def without_headings(text: str) -> str:
    """A passage starts with the heading of its section, and `headings` has it already."""
    first, _, rest = text.partition("\n")
    return rest if first.startswith("#") else text
