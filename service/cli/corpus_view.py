"""The corpus for a terminal: figures, found passages, one document."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import typer

from service.cli.output import counted, note, print_table, shown, wrapped
from service.corpus_stats import origin_of

if TYPE_CHECKING:
    from models.domain.runbook import Document
    from service.corpus_sources.source import CorpusSource, Outcome
    from service.corpus_stats import CorpusStats, FoundPassage

_TOLD_EVERY = 500


def progress(source: CorpusSource, done: int) -> None:
    """Say now and then how far a long sync is."""
    if done % _TOLD_EVERY == 0:
        note(f"{source.name}: {done} pages …")


def print_sources(found: Iterable[tuple[CorpusSource, Outcome | None]]) -> None:
    """The sources, a line each."""
    print_table(
        ("name", "kind", "place", "ref", "actions", "last sync", "outcome"),
        [
            (
                source.name,
                source.kind,
                source.place,
                source.ref if last is None or last.ref is None else last.ref[:12],
                "yes" if source.actions else "no",
                f"{last.at:%F %T} UTC" if last else "never",
                last.state if last else "-",
            )
            for source, last in found
        ],
    )


def print_stats(found: CorpusStats) -> None:
    """The figures; problems go to standard error."""
    megabytes = found.bytes_on_disk / 1e6
    typer.echo(f"{counted(found.documents, 'document')}, {counted(found.passages, 'passage')}, {megabytes:.1f} MB")
    typer.echo(f"embedder {found.embedder}\n")
    print_table(
        ("source", "kind", "documents", "with actions", "passages"),
        [(each.source, each.kind, each.documents, each.with_actions, each.passages) for each in found.shares],
    )
    if found.sources:
        typer.echo()
    for state in found.sources:
        last, name = state.last, state.source.name
        typer.echo(f"{last.at:%F %T} UTC  {shown(last)}" if last else f"{name}: never synced; `suture corpus sync`")
        if state.withheld:
            which = "its actions are" if state.withheld == 1 else "their actions are"
            typer.echo(f"  {counted(state.withheld, 'document')}: {which} not offered, {name} may not define any")
    for problem in found.problems:
        place = f"{problem.file}:{problem.line}" if problem.line else problem.file
        note(shown(f"{place}: {problem.message}; {problem.mend}"))


def print_found(found: Iterable[FoundPassage]) -> None:
    """Passages, best first."""
    for number, each in enumerate(found, 1):
        parts = f"score {each.score:.2f} (words {each.lexical:.2f}, vectors {each.dense:.2f})"
        typer.echo(f"{number}. {shown(each.document)} {each.start}-{each.end}  {parts}")
        typer.echo(f"   {shown(' > '.join(dict.fromkeys((each.title, *each.headings))))}")
        if each.url or each.path:
            typer.echo(f"   {shown(each.url or each.path)}")
        for line in wrapped(each.text, "   "):
            typer.echo(line)


def print_document(document: Document) -> None:
    """A document: facts, then its text on standard output as it is, but for what a terminal would obey."""
    for name, value in _facts(document):
        typer.echo(f"{name:<9} {shown(value)}")
    typer.echo()
    # A pipe gets every character, so that spans can be counted in it.
    plain = document.text if not sys.stdout.isatty() else "\n".join(shown(line) for line in document.text.split("\n"))
    typer.echo(plain, nl=not plain.endswith("\n"))


def _facts(document: Document) -> Iterator[tuple[str, str]]:
    origin = origin_of(document)
    yield "id", document.id
    yield "kind", document.kind
    yield "title", document.title
    yield "path", document.path
    for name in ("source", "ref", "url"):
        if origin.get(name):
            yield name, str(origin[name])
    actions = ", ".join(action.id for action in document.runbook.actions) if document.runbook else "none"
    yield "actions", actions
