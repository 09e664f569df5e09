"""Brings sources up to date: incremental, and each as a whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from hashlib import sha256
from pathlib import Path

from models.domain.base import Clock
from retrieval.locking import folder_lock
from runbooks.frontmatter import Fault
from service.corpus_sources import confluence
from service.corpus_sources.archive import open_archive
from service.corpus_sources.converter import Converter
from service.corpus_sources.folder import open_folder
from service.corpus_sources.git import open_repository
from service.corpus_sources.importing import VERSION, import_page
from service.corpus_sources.pages import HTML, MARKDOWN, MAX_PAGE, MAX_PAGES, Opened, Page, PageFault
from service.corpus_sources.source import EXPORTS, CorpusSource, Outcome, SourceFailed
from service.corpus_sources.store import SourceStore, Staged

_BEFORE = " (until then the version of the last sync serves)"


def sync_sources(
    store: SourceStore,
    clock: Clock,
    names: Sequence[str] = (),
    tell: Callable[[CorpusSource, int], None] = lambda _source, _done: None,
) -> list[Outcome]:
    """Sync the named sources, else all, in their order; `tell` hears of each page.

    A source that fails keeps its documents; the others are synced. Another process's sync is waited for. Raises
    NotFound for a name that is none.
    """
    with folder_lock(store.folder, exclusive=True):
        wanted = [store.get(name) for name in dict.fromkeys(names)] or [source for source, _ in store.all()]
        return [_sync(store, source, clock, tell) for source in wanted]


def _sync(store: SourceStore, source: CorpusSource, clock: Clock, tell: Callable[[CorpusSource, int], None]) -> Outcome:
    try:
        with store.staging(source.name) as staged, _opened(store, source) as found:
            stamp = found.stamp and _stamped(source, found.stamp)
            before = store.marks(source.name)
            outcome = Outcome(source=source.name, state="ok", at=clock(), ref=found.ref)
            if stamp is not None and stamp == store.stamp(source.name):
                told = {each.source: each for _, each in store.all() if each}.get(source.name)
                outcome = outcome.model_copy(
                    update={"unchanged": _texts(before), "problems": told.problems if told else 0}
                )
                store.note(outcome)
                return outcome
            counts = _Counts(before)
            with closing(Converter()) as converter:
                for page in found.pages:
                    counts.take(page)
                    _read(source, page, before, staged, converter, counts)
                    tell(source, len(counts.seen))
            counts.check(source)
            return staged.commit(outcome.model_copy(update=counts.totals()), stamp)
    except SourceFailed as error:
        outcome = Outcome(source=source.name, state="failed", at=clock(), error=str(error))
        store.note(outcome)
        return outcome


def _opened(store: SourceStore, source: CorpusSource) -> Opened:
    exported = source.kind in EXPORTS
    place, limit, suffixes = Path(source.place), MAX_PAGE[exported], HTML if exported else MARKDOWN
    if source.kind == "git":
        known = store.stamp(source.name) or ""
        commit = known.rpartition(":")[2] if known == _stamped(source, known.rpartition(":")[2]) else None
        return open_repository(source, commit, limit)
    if exported and place.is_file() and not place.name.lower().endswith(HTML):
        return open_archive(place, suffixes, limit)
    return open_folder(place, suffixes, limit)


def _stamped(source: CorpusSource, stamp: str) -> str:
    """What makes a page another document although it is the same: our own version, and what the source may do."""
    return f"{VERSION}:{source.kind}:{source.documents}:{source.actions:d}:{stamp}"


def _read(
    source: CorpusSource,
    page: Page,
    before: dict[str, tuple[str, bool]],
    staged: Staged,
    converter: Converter,
    counts: _Counts,
) -> None:
    if source.kind == "confluence" and not confluence.is_page(page.path):
        return
    known, had_text = before.get(page.path, (None, False))
    mark = _stamped(source, page.mark) if page.mark else None
    try:
        if mark is None or mark != known:
            data = page.read()
            mark = mark or _stamped(source, sha256(data).hexdigest())
        if mark == known:
            staged.keep(page.path, mark)
            counts.texts += had_text
            return
        imported = import_page(source, page.path, data, converter)
    except PageFault as error:
        fault = error.fault
        # With its mark it is tried again when it has changed; without, at the next sync.
        staged.keep(page.path, mark or "", Fault(fault.line, fault.message, fault.mend + (_BEFORE if had_text else "")))
        counts.texts += had_text
        return
    staged.put(page.path, mark, imported)
    counts.texts += 1
    counts.changed += had_text
    counts.added += not had_text


def _texts(marks: dict[str, tuple[str, bool]]) -> int:
    return sum(there for _, there in marks.values())


class _Counts:
    """What a sync has seen, in documents."""

    def __init__(self, before: dict[str, tuple[str, bool]]) -> None:
        self._before = before
        self.seen: set[str] = set()
        self.texts = self.added = self.changed = 0

    def take(self, page: Page) -> None:
        """Count a page. Raises SourceFailed for one too many, or one that comes twice."""
        if page.path in self.seen:
            raise SourceFailed(f"it has two pages named {page.path}; export it again")
        self.seen.add(page.path)
        if len(self.seen) > MAX_PAGES:
            raise SourceFailed(f"it has more than {MAX_PAGES} pages; split it")

    def check(self, source: CorpusSource) -> None:
        """Raises SourceFailed where nothing is left: a volume that is not mounted looks like that."""
        if self.texts:
            return
        had = _texts(self._before)
        kind = "HTML pages" if source.kind in EXPORTS else "Markdown files"
        words = f"{source.place}{f' below {source.under}' if source.under else ''} has no {kind} that can be used"
        mend = f"`suture corpus remove {source.name}` removes what it had" if had else "name another place"
        raise SourceFailed(f"{words}; {mend}")

    def totals(self) -> dict[str, int]:
        """The counts of an Outcome."""
        removed = sum(there for path, (_, there) in self._before.items() if path not in self.seen)
        unchanged = self.texts - self.added - self.changed
        return {"added": self.added, "changed": self.changed, "removed": removed, "unchanged": unchanged}
