"""What a document says of itself in its front matter, and what a search may ask for by it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from fnmatch import fnmatchcase
from typing import Any, TypedDict

from models.domain.runbook import Document, DocumentKind
from retrieval.signature import Moves, moves_of


@dataclass(frozen=True)
class Facts:
    """Of one document. What it does not say is empty, and a filter on that lets it pass."""

    services: tuple[str, ...] = ()
    """Names or globs."""
    environment: str | None = None
    at: float | None = None
    """When its incident began, in seconds since 1970."""
    moves: Moves = ()
    """Metrics that moved, and which way."""


@dataclass(frozen=True)
class Filter:
    """Which documents a search is about: all by default."""

    kind: DocumentKind | None = None
    exclude: Collection[str] = ()
    """Ids of documents that are left out."""
    service: str | None = None
    environment: str | None = None
    since: datetime | None = None
    """Incidents that began before are left out."""

    @property
    def by_facts(self) -> bool:
        """Whether it depends on more than kind and id."""
        return (self.service, self.environment, self.since) != (None, None, None)

    def admits(self, facts: Facts) -> bool:
        """Whether a document that says this may be found. One without the metadata that is asked for may."""
        return (
            (self.service is None or not facts.services or _matches(self.service, facts.services))
            and (self.environment is None or facts.environment in (None, self.environment))
            and (self.since is None or facts.at is None or facts.at >= self.since.timestamp())
        )


class Wanted(TypedDict, total=False):
    """The fields of a Filter as keyword arguments."""

    kind: DocumentKind | None
    exclude: Collection[str]
    service: str | None
    environment: str | None
    since: datetime | None


def _matches(service: str, globs: Collection[str]) -> bool:
    return any(fnmatchcase(service, glob) for glob in globs)


def facts_of(document: Document) -> Facts:
    """The document's services, environment, begin and moves. A value of another type counts as not said."""
    said = document.metadata
    environment = said.get("environment")
    return Facts(
        services=document.runbook.services if document.runbook else _names(said.get("services")),
        environment=environment if isinstance(environment, str) and environment else None,
        at=_seconds(said.get("started_at", said.get("date"))),
        moves=moves_of(said, document.text[document.body_start :]) if document.kind == "postmortem" else (),
    )


def facts_entry(facts: Facts) -> dict[str, Any]:
    """The facts as metadata of the index; what is not said is left out, for Chroma keeps no None."""
    kept = {
        "services": "\n".join(facts.services),
        "environment": facts.environment,
        "at": facts.at,
        "moves": "\n".join(f"{metric} {direction}" for metric, direction in facts.moves),
    }
    return {name: value for name, value in kept.items() if value not in (None, "")}


def facts_from(entry: Mapping[str, Any]) -> Facts:
    """What `facts_entry` made."""
    moves = (line.rpartition(" ") for line in entry.get("moves", "").splitlines())
    return Facts(
        services=tuple(entry.get("services", "").splitlines()),
        environment=entry.get("environment"),
        at=entry.get("at"),
        moves=tuple((metric, "up" if direction == "up" else "down") for metric, _, direction in moves),
    )


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        return ()
    return tuple(one for one in value if isinstance(one, str) and one and one.isprintable())


def _seconds(value: Any) -> float | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return None
    if isinstance(moment, date) and not isinstance(moment, datetime):
        moment = datetime.combine(moment, time())
    if not isinstance(moment, datetime):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
