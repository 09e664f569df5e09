"""What an index serves from: passages, documents and lexical indexes of one instant, never changed once made."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.domain.runbook import Passage
from retrieval.facts import Filter
from retrieval.held import Held, Known, Sample, load_held, load_sample
from retrieval.lexical import LexicalIndex, count_terms
from retrieval.profiles import OtherNames, Profile, Profiles, profile_of
from retrieval.records import Record, passages_from, record_of, without_headings
from retrieval.rerank import Vocabulary
from retrieval.signature import rarities
from retrieval.stores import Stores
from retrieval.vectors import Entry
from retrieval.words import split_code, stems


@dataclass(frozen=True)
class Snapshot:
    """One instant of the index. Rows of `passages`, `ids`, `owner` and `passage_words` belong together, as do
    rows of `records` and `document_words`; `owner` is the row of a passage's record, its passages standing together.
    """

    passages: tuple[Passage, ...]
    ids: tuple[str, ...]
    owner: NDArray[np.intp]
    first: NDArray[np.intp]
    """The row of each document's first passage, and in the end the number of passages."""
    records: tuple[Record, ...]
    kinds: NDArray[np.str_]
    """Of each document."""
    passage_words: LexicalIndex
    document_words: LexicalIndex
    vocabulary: Vocabulary
    profiles: Profiles
    held: Held | None
    """All vectors, where there are few enough to be searched in memory."""
    sample: Sample
    rows: Mapping[str, int]
    """Passage id → row."""
    record_rows: Mapping[str, int]
    """Document id → row."""

    @cached_property
    def moving(self) -> tuple[int, ...]:
        """Rows of the documents that tell which metrics moved."""
        return tuple(row for row, record in enumerate(self.records) if record.facts.moves)

    @cached_property
    def rarity(self) -> Mapping[str, float]:
        """How telling each of those metrics is."""
        return rarities([self.records[row].facts.moves for row in self.moving])

    def admitted(self, among: Filter) -> NDArray[np.bool_]:
        """Which documents a filter lets pass."""
        passes = self.kinds == among.kind if among.kind else np.ones(len(self.records), bool)
        passes[[self.record_rows[id_] for id_ in among.exclude if id_ in self.record_rows]] = False
        if among.by_facts:
            passes &= np.fromiter((among.admits(one.facts) for one in self.records), bool, len(self.records))
        return passes

    def of_document(self, id_: str) -> tuple[Passage, ...]:
        """The passages of a document, in the order of its text."""
        row = self.record_rows.get(id_)
        return () if row is None else self.passages[self.first[row] : self.first[row + 1]]


def load_snapshot(stores: Stores, before: Snapshot | None = None) -> Snapshot:
    """The snapshot of what the collections hold.

    Passages without a record of their hash (left by a sync that did not end) are passed over, and so is a document
    whose passages are not all there with the spans that they were given: the next sync embeds it again. `before` is
    the snapshot that served until now: vectors that it holds are not read again.
    """
    found: dict[tuple[Any, Any], list[Entry]] = defaultdict(list)
    for entry in stores.passages.entries():
        found[entry.metadata.get("document"), entry.metadata.get("hash")].append(entry)
    records: list[Record] = []
    passages: list[Passage] = []
    ids: list[str] = []
    owner: list[int] = []
    for entry in sorted(stores.documents.entries(), key=lambda entry: entry.id):
        record = record_of(entry)
        own = passages_from(record, found[record.id, record.hash]) if record else None
        if record is None or own is None:
            continue
        for id_, passage in own:
            passages.append(passage)
            ids.append(id_)
            owner.append(len(records))
        records.append(record)
    return _snapshot(stores, records, passages, ids, np.array(owner, np.intp), before)


def _snapshot(
    stores: Stores,
    records: list[Record],
    passages: list[Passage],
    ids: list[str],
    owner: NDArray[np.intp],
    before: Snapshot | None,
) -> Snapshot:
    others = OtherNames((record.id, record.title) for record in records)
    passage_words, document_words = _words(passages, owner, records, others)
    first = np.searchsorted(owner, np.arange(len(records) + 1))
    names = [record.id for record in records]
    known = Known(dict(before.rows), before.held.passages) if before and before.held else None
    held = load_held(stores, ids, names, known)

    def profile(row: int) -> Profile:
        record = records[row]
        return profile_of(record.id, record.title, passages[first[row] : first[row + 1]], others)

    return Snapshot(
        passages=tuple(passages),
        ids=tuple(ids),
        owner=owner,
        first=first,
        records=tuple(records),
        kinds=np.array([record.kind for record in records], np.str_),
        passage_words=passage_words,
        document_words=document_words,
        vocabulary=Vocabulary(document_words, frozenset(w for r in records for w in stems(f"{r.title}\n{r.id}"))),
        profiles=Profiles(profile),
        held=held,
        sample=load_sample(stores, ids, names, owner, held),
        rows={id_: row for row, id_ in enumerate(ids)},
        record_rows={record.id: row for row, record in enumerate(records)},
    )


def _words(
    passages: Sequence[Passage], owner: NDArray[np.intp], records: Sequence[Record], others: OtherNames
) -> tuple[LexicalIndex, LexicalIndex]:
    """The lexical indexes of passages and of documents. The text, by far the most, is taken apart once for both.

    Other documents' names are left out of it: "similar to NodeDiskFull" does not make it a text on full disks.
    """
    parts = [split_code(others.taken_from(without_headings(p.text), p.document)) for p in passages]
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
