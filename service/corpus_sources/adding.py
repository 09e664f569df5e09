"""Makes a source of what an operator wrote, having looked whether it is there."""

from __future__ import annotations

import re
import zipfile
from datetime import datetime
from pathlib import Path, PurePosixPath

from models.domain.errors import BadInput
from service.corpus_sources.git import check_address, is_local, resolve
from service.corpus_sources.pages import HTML
from service.corpus_sources.source import EXPORTS, NAME, CorpusSource, SourceFailed, SourceKind

_FIELDS = {"path", "ref", "page"}
_KINDS: dict[str, SourceKind] = {"folder": "folder", "git": "git", "confluence": "confluence", "html": "html"}


def new_source(
    name: str,
    kind: str,
    place: str,
    *,
    ref: str | None,
    under: str,
    actions: bool | None,
    postmortems: bool,
    link: str | None,
    added: tuple[datetime, str],
) -> CorpusSource:
    """The source. `actions` None: a folder may define them, others may not. `added`: when, and by whom.

    Raises BadInput, with the option, for what cannot be one: also for a place that is not there now, and a ref that the
    repository does not have.
    """
    if not re.fullmatch(NAME, name):
        raise BadInput(f"{name!r} must have 1 to 40 lower-case letters, digits and hyphens", where="NAME")
    of_kind = _KINDS.get(kind)
    if of_kind is None:
        raise BadInput(f"{kind!r} is none of {', '.join(_KINDS)}", where="--kind")
    if kind != "git" and (ref is not None or under):
        raise BadInput("--ref and --under are for --kind git")
    if kind in EXPORTS and actions:
        raise BadInput("HTML pages never define actions; put runbooks with actions into Markdown", where="--actions")
    source = CorpusSource(
        name=name,
        kind=of_kind,
        place=_place(of_kind, place, ref),
        ref=ref,
        under=_under(under),
        actions=kind == "folder" if actions is None else actions,
        documents="postmortem" if postmortems else "runbook",
        link=_link(link),
        added_at=added[0],
        added_by=added[1],
    )
    if kind == "git":
        try:
            resolve(source)
        except SourceFailed as error:
            raise BadInput(str(error), where="PLACE") from error
    return source


def _place(kind: SourceKind, place: str, ref: str | None) -> str:
    """As it is kept: a path is absolute, so that it means the same to a service that runs elsewhere."""
    if kind == "git":
        check_address(place, ref)
        if not is_local(place):
            return place
    path = Path(place).resolve()
    if not path.exists():
        raise BadInput(f"{place} does not exist", where="PLACE")
    if kind in ("folder", "git") and not path.is_dir():
        raise BadInput(f"{place} is not a folder", where="PLACE")
    exported = path.is_dir() or path.name.lower().endswith(HTML) or zipfile.is_zipfile(path)
    if kind in EXPORTS and not exported:
        raise BadInput(f"{place} is neither a folder nor a zip archive nor an HTML page", where="PLACE")
    return str(path)


def _under(under: str) -> str:
    path = PurePosixPath(under)
    if path.is_absolute() or ".." in path.parts or not under.isprintable():
        raise BadInput(f"{under!r} is no path within the repository", where="--under")
    return "" if str(path) == "." else str(path)


def _link(link: str | None) -> str | None:
    if link is None:
        return None
    if not link.startswith(("http://", "https://")) or not link.isprintable():
        raise BadInput("must begin with http:// or https://", where="--link")
    unknown = set(re.findall(r"\{([^}]*)\}", link)) - _FIELDS
    if unknown:
        raise BadInput(f"{{{min(unknown)}}} is none of {{path}}, {{ref}}, {{page}}", where="--link")
    return link
