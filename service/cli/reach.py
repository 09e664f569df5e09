"""The checks of `suture doctor` that reach out: what Suture reads from, acts on and writes to."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from models.domain.errors import Unavailable
from service.cli.output import counted

if TYPE_CHECKING:
    from service.ports import Context
    from service.settings import Settings

_CONNECT_SECONDS = 3.0


def context() -> Context:
    """What an adapter gets that is only looked at."""
    from models.domain.base import utc_now
    from service.ports import Context
    from service.security.secrets import resolve_secret

    return Context(clock=utc_now, secret=resolve_secret)


def executors(settings: Settings) -> str:
    """The configured executors accept their sections, and what they name answers."""
    from service.registry import build_executors

    built = build_executors(settings.executors, context())
    reached = [
        _connect(name, address) for name, section in settings.executors.items() for address in _addresses(section)
    ]
    if not built:
        return "none is configured: nothing can be executed, only recommended"
    return ", ".join(sorted(built)) + (f"; reached: {', '.join(reached)}" if reached else "")


def _addresses(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _addresses(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _addresses(inner)
    elif isinstance(value, str) and value.startswith(("http://", "https://", "unix://", "http+unix://")):
        yield value


def _connect(executor: str, address: str) -> str:
    """Open a connection to the address and close it again."""
    parts = urlsplit(address)
    try:
        if parts.scheme.endswith("unix"):
            with socket.socket(socket.AF_UNIX) as opened:
                opened.settimeout(_CONNECT_SECONDS)
                opened.connect(unquote(parts.netloc) + parts.path)
            return address
        port = parts.port or (443 if parts.scheme == "https" else 80)
        with socket.create_connection((parts.hostname or "", port), _CONNECT_SECONDS):
            return f"{parts.hostname}:{port}"
    except OSError as error:
        place = address if parts.scheme.endswith("unix") else f"{parts.hostname}:{parts.port or ''}"
        raise Unavailable(f"executor {executor}: {place} does not answer: {error}; is it running?") from error


def scraping(settings: Settings) -> str:
    """Every target answers with an exposition that can be read."""
    from models.domain.base import utc_now
    from service.sources.scrape import Scraper

    if not settings.scrape:
        return "no targets"
    scraper = Scraper(settings.scrape, timedelta(seconds=_CONNECT_SECONDS))
    try:
        batch = scraper.scrape(utc_now())
    finally:
        scraper.close()
    failed = [f"{url}: {error}" for url, error in scraper.last_error.items() if error]
    if failed:
        raise Unavailable(f"{'; '.join(failed)}; is it running, and is that its metrics page?")
    return f"{counted(len(settings.scrape), 'target')}, {len(batch.series)} series"


def source(settings: Settings) -> str:
    """Who answers the queries of checks answers."""
    from service.registry import SOURCES, build

    if settings.source.name == "embedded":
        return "embedded: the samples that Suture keeps"
    built = build(SOURCES, settings.source, context())
    if not built.healthy():
        raise Unavailable(f"{built.name} does not answer; is its URL right, and is it running?")
    return f"{built.name} answers"


def objectives(settings: Settings) -> str:
    """The file of objectives can be used."""
    from service.slo.file import load_objectives

    found = load_objectives(settings.slos).slos if settings.slos else ()
    return f"{settings.slos}: {', '.join(one.id for one in found) or 'none'}" if settings.slos else "none"


def checks(settings: Settings) -> str:
    """The file of standing checks can be used; nothing is measured."""
    from service.standing_checks.format import load_checks

    found = load_checks(settings.checks).checks if settings.checks else ()
    return f"{settings.checks}: {', '.join(one.id for one in found) or 'none'}" if settings.checks else "none"


def webhooks(settings: Settings) -> str:
    """Who may send signals by signature; their secrets can be read and used."""
    from service.security.webhooks import Webhooks

    Webhooks(settings.webhooks)
    return ", ".join(f"{name} ({each.format})" for name, each in settings.webhooks.items()) or "none"


def ticketing(settings: Settings) -> str:
    """The tracker accepts its section, its secrets can be read. Nothing is sent."""
    from service.registry import ITSM, build

    if settings.ticketing.name == "embedded":
        return "embedded: tickets are kept in the database"
    build(ITSM, settings.ticketing, context())
    return f"{settings.ticketing.name} (nothing was sent by this check)"
