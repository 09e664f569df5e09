"""A source of documents: what it is, what a sync of it found, and where a document came from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal
from urllib.parse import quote

from pydantic import Field

from models.domain.base import Frozen, Time
from models.domain.errors import SutureError
from models.domain.runbook import DocumentKind

SourceKind = Literal["folder", "git", "confluence", "html"]

NAME = r"^[a-z0-9][a-z0-9-]{0,39}$"
"""No dot: the first dot of a document's id ends the name of its source."""

EXPORTS: frozenset[SourceKind] = frozenset(("confluence", "html"))
"""Kinds whose pages are HTML: they are cited, and never define actions."""


class CorpusSource(Frozen):
    """One source, as the operator added it."""

    name: Annotated[str, Field(pattern=NAME)]
    kind: SourceKind
    place: str
    """A folder, a file, or the URL or path of a git repository."""
    ref: str | None = None
    """Branch, tag or full commit id of a git repository."""
    under: str = ""
    """Only what stands below this folder of a git repository."""
    actions: bool = False
    """Whether its Markdown may define actions. Never true of `EXPORTS`."""
    documents: DocumentKind = "runbook"
    """What its documents are, where neither their front matter nor a folder named `postmortems` says so."""
    link: str | None = None
    """A template of the address of a page: `{path}`, `{ref}` and `{page}` (Confluence's number) are filled in."""
    added_at: Time
    added_by: str

    def place_of(self, path: str, ref: str | None) -> str:
        """How a page is named to people: `URL@commit:path`, or the path of its file."""
        if self.kind == "git":
            return f"{self.place}@{(ref or '')[:12]}:{path}"
        return f"{self.place}/{path}" if path else self.place

    def link_to(self, path: str, ref: str | None) -> str | None:
        """The address of a page where the source has a template."""
        if self.link is None:
            return None
        from service.corpus_sources.confluence import page_number

        values = {"path": path, "ref": ref or "", "page": page_number(path) or ""}
        address = self.link
        for name, value in values.items():
            address = address.replace("{" + name + "}", quote(value))
        return address


class Outcome(Frozen):
    """What a sync of one source did, in documents. `state` is failed where nothing was changed."""

    source: str
    state: Literal["ok", "failed"]
    at: Time
    ref: str | None = None
    """The commit that was read."""
    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    problems: int = 0
    """Pages that could not be used as they are; `suture corpus stats` lists them."""
    error: str | None = None
    """Why it failed, and what mends it."""

    def __str__(self) -> str:
        if self.state == "failed":
            return f"{self.source}: failed: {self.error}"
        counts = f"{self.added} added, {self.changed} changed, {self.removed} removed, {self.unchanged} unchanged"
        return f"{self.source}: {counts}" + (f", {self.problems} with problems" if self.problems else "")


class SourceFailed(SutureError):
    """A source cannot be read as a whole: what it gave before serves on."""

    status = 503
    title = "source failed"


def ids_of(source: str, paths: Iterator[str]) -> Iterator[tuple[str, str]]:
    """(path, id) of documents without a catalogue: `wiki.ops.disk-full`, unique within the source.

    `paths` come sorted, so that ids are the same at each reading. They have no slash, since they stand in URLs, and
    always a dot: no document of a source has the id of a runbook with actions.
    """
    from hashlib import sha256

    taken: set[str] = set()
    for path in paths:
        stem = path.rsplit(".", 1)[0] if "." in path.rsplit("/", 1)[-1] else path
        words = "".join(c.lower() if c.isalnum() or c == "." else "-" for c in stem.replace("/", "."))
        own = f"{source}.{words.strip('-')[:_LONGEST]}"
        if own in taken or len(words) > _LONGEST:
            own = f"{own}-{sha256(path.encode()).hexdigest()[:8]}"
        taken.add(own)
        yield path, own


_LONGEST = 200
"""Characters of an id before its hash: the API takes 300."""
