"""`suture corpus`: sources of documents, and what was made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from models.domain.errors import BadInput, NotFound
from service.cli.options import AsJson, Data

if TYPE_CHECKING:
    from models.domain.runbook import DocumentKind

app = typer.Typer(help="Where runbooks and postmortems come from, and what was made of them.", no_args_is_help=True)


@app.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Lower-case letters, digits and hyphens.")],
    place: Annotated[str, typer.Argument(metavar="PLACE", help="A folder, a zip of pages, or a repository's URL.")],
    kind: Annotated[str, typer.Option(metavar="KIND", help="folder (of Markdown), git, confluence or html.")],
    ref: Annotated[str | None, typer.Option(help="Branch, tag or full commit id. [default: the remote's HEAD]")] = None,
    under: Annotated[str, typer.Option(metavar="DIR", help="Only what stands below, in a git repository.")] = "",
    actions: Annotated[
        bool | None, typer.Option("--actions/--no-actions", help="May it define actions? [default: a folder may]")
    ] = None,
    postmortems: Annotated[bool, typer.Option("--postmortems", help="Its documents are postmortems.")] = False,
    link: Annotated[
        str | None, typer.Option(metavar="URL", help="Address of a page, with {path}, {ref}, {page} in it.")
    ] = None,
    data: Data = None,
) -> None:
    """Add a source. It is looked at now, and read by `suture corpus sync`."""
    from models.domain.base import utc_now
    from service.cli.output import note
    from service.cli.state import actor, open_state
    from service.corpus import source_store
    from service.corpus_sources.adding import new_source

    source = new_source(
        name,
        kind,
        place,
        ref=ref,
        under=under,
        actions=actions,
        postmortems=postmortems,
        link=link,
        added=(utc_now(), actor()),
    )
    described = source.model_dump(mode="json", exclude={"name", "added_at", "added_by"})
    with open_state(data, create=True) as state, state.database.write() as connection:
        # Who made a source one that may define actions is what an audit asks.
        state.audit.append(connection, "corpus.source-added", source.name, described, source.added_by)
        source_store(state.settings).add(source)
    may = "may" if source.actions else "may not"
    typer.echo(f"added {source.name}: {source.kind} {source.place}; it {may} define actions")
    note(f"`suture corpus sync {source.name}` reads it")


@app.command()
def remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `suture corpus list` shows it.")],
    data: Data = None,
) -> None:
    """Remove a source and its documents. A running service forgets them within seconds."""
    from service.cli.state import actor, open_state
    from service.corpus import source_store

    with open_state(data, create=True) as state, state.database.write() as connection:
        store = source_store(state.settings)
        source = store.get(name)
        described = {"kind": source.kind, "place": source.place}
        state.audit.append(connection, "corpus.source-removed", name, described, actor())
        store.remove(name)
    typer.echo(f"removed {name}")


@app.command("list")
def list_sources(as_json: AsJson = False, data: Data = None) -> None:
    """List the sources, each with its last sync."""
    from service.cli.corpus_parts import quiet_settings
    from service.cli.corpus_view import print_sources
    from service.cli.output import print_json
    from service.corpus import source_store

    found = source_store(quiet_settings(data)).all()
    if as_json:
        print_json([{"source": source, "last": last} for source, last in found])
    else:
        print_sources(found)


@app.command()
def sync(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Sources. [default: all]")] = None,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Read the sources anew and index what changed. Exits with 1 where one failed; what it gave before serves on."""
    from models.domain.base import utc_now
    from service.cli.corpus_parts import open_index, quiet_settings
    from service.cli.corpus_view import progress
    from service.cli.output import note, print_json, shown
    from service.corpus import CorpusKeeper, source_store
    from service.corpus_sources.syncing import sync_sources
    from service.state_folder import make_state_folder

    settings = quiet_settings(data)
    make_state_folder(settings.state_dir)
    store = source_store(settings)
    outcomes = sync_sources(store, utc_now, names or (), tell=progress)
    with open_index(settings, create=True) as index:
        keeper = CorpusKeeper(settings.runbooks, settings.postmortems, index, store)
        report = keeper.sync()
    if as_json:
        print_json({"sources": outcomes, "index": report})
    else:
        for outcome in outcomes:
            if outcome.state == "ok":
                typer.echo(str(outcome))
        typer.echo(f"index: {report.added} added, {report.changed} changed, {report.removed} removed")
    for problem in keeper.problems():
        note(shown(problem))
    if any(outcome.state == "failed" for outcome in outcomes):
        raise typer.Exit(1)


@app.command()
def stats(as_json: AsJson = False, data: Data = None) -> None:
    """Count documents and passages by source and kind; embedder, size on disk, last syncs, problems."""
    from service.cli.corpus_parts import quiet_settings
    from service.cli.corpus_view import print_stats
    from service.cli.output import print_json
    from service.corpus import embedder_of, read_corpus, source_store
    from service.corpus_stats import corpus_stats

    settings = quiet_settings(data)
    corpus, store = read_corpus(settings), source_store(settings)
    folders = (settings.state_dir / "index", store.folder)
    found = corpus_stats(corpus.documents, corpus.problems, store, embedder_of(settings).identity, folders)
    if as_json:
        print_json(found)
    else:
        print_stats(found)


@app.command()
def search(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="Words, an alert's text, a metric's name.")],
    kind: Annotated[str | None, typer.Option(metavar="KIND", help="Only runbook, or only postmortem.")] = None,
    k: Annotated[int, typer.Option("--k", min=1, max=100, help="How many passages at most.")] = 5,
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Show the passages that fit best, with their spans and the parts of their scores."""
    from service.cli.corpus_parts import open_index, quiet_settings
    from service.cli.corpus_view import print_found
    from service.cli.output import note, print_json
    from service.corpus import read_corpus
    from service.corpus_stats import found_passages

    if not query.strip():
        raise BadInput("the query is empty; write some words", where="QUERY")
    settings, only = quiet_settings(data), _kind(kind)
    with open_index(settings) as index:
        scored = index.search(query, k, kind=only)
    found = found_passages(scored, read_corpus(settings).documents)
    if as_json:
        print_json(found)
    else:
        print_found(found)
    if not found:
        note("nothing is indexed of that kind; `suture corpus sync` indexes, `suture corpus stats` counts")


@app.command()
def show(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="A document, as citations name it.")],
    as_json: AsJson = False,
    data: Data = None,
) -> None:
    """Show one document: where it came from, its actions, and its text, which citations' spans count in."""
    from service.cli.corpus_parts import quiet_settings
    from service.cli.corpus_view import print_document
    from service.cli.output import print_json
    from service.corpus import read_corpus

    documents = read_corpus(quiet_settings(data)).documents
    document = next((each for each in documents if each.id == identifier), None)
    if document is None:
        raise NotFound(f"there is no document {identifier!r}; `suture runbook list` lists them")
    if as_json:
        print_json(document)
    else:
        print_document(document)


def _kind(text: str | None) -> DocumentKind | None:
    kinds: dict[str, DocumentKind] = {"runbook": "runbook", "postmortem": "postmortem"}
    if text is not None and text not in kinds:
        raise BadInput(f"{text!r} is none of runbook, postmortem", where="--kind")
    return kinds[text] if text else None
