"""The checks of `suture doctor`: each says in words what it found, or raises an error whose words say the mend."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from models.domain.errors import BadInput, SutureError, Unavailable
from service.cli.output import shown

if TYPE_CHECKING:
    from service.ports import Context
    from service.settings import Settings

_CONNECT_SECONDS = 3.0


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    check: str
    ok: bool
    detail: str

    def __str__(self) -> str:
        return f"{'ok  ' if self.ok else 'FAIL'}  {self.check}: {shown(self.detail)}"


def examine(name: str, check: Callable[[], str], timeout: float) -> Finding:
    """Run one check for at most `timeout` seconds; one that hangs is left behind and reported."""
    found: list[Finding] = []

    def run() -> None:
        try:
            found.append(Finding(name, True, check()))
        except SutureError as error:
            found.append(Finding(name, False, str(error)))
        except Exception as error:  # noqa: BLE001  (whatever breaks is what this command is asked for)
            found.append(Finding(name, False, f"{type(error).__name__}: {error}"))

    thread = threading.Thread(target=run, daemon=True, name=f"doctor-{name}")
    thread.start()
    thread.join(timeout)
    return found[0] if found else Finding(name, False, f"no answer within {timeout:g} s")


def _python(_: Settings) -> str:
    """Which Python runs this: a version that is too old does not come this far."""
    return f"{sys.version.split()[0]}, {sys.executable}"


def _state(settings: Settings) -> str:
    """The folder of the state, and whose the admin key is."""
    from service.security.auth import ADMIN_KEY_FILE

    folder = settings.state_dir
    if not folder.exists():
        return f"{folder} does not exist yet; `suture serve` makes it"
    for name in (ADMIN_KEY_FILE, "signing.key"):
        if (folder / name).exists() and (folder / name).stat().st_mode & 0o077:
            raise BadInput(f"others can read {folder / name}; run `chmod 600 {folder / name}`")
    return str(folder)


def _database(settings: Settings) -> str:
    """The database opens and has the newest tables. Changes nothing."""
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    from service.store import database as module

    if settings.database_url is None and not (settings.state_dir / "suture.db").exists():
        return "there is none yet; `suture serve` makes it"
    database = module.Database(settings.database)
    try:
        with database.read() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
    finally:
        database.close()
    config = Config()
    config.set_main_option("script_location", str(Path(module.__file__).parent / "migrations"))
    newest = ScriptDirectory.from_config(config).get_current_head()
    if current != newest:
        raise Unavailable(
            f"{database.shown} has the tables of revision {current}, not {newest}; `suture serve` mends it"
        )
    return f"{database.shown} opens, revision {current}"


def _embedder(settings: Settings) -> str:
    """The embedder works; of MiniLM also the weights, which are only looked at when their graph is built."""
    from service.registry import EMBEDDERS, build
    from service.settings import Adapter

    embedder = build(EMBEDDERS, settings.embedder, _context())
    width = embedder.embed(["a word"]).shape[1]
    verified = ""
    if settings.embedder.name == "minilm":
        with TemporaryDirectory(prefix="suture-") as cache:
            build(EMBEDDERS, Adapter(name="minilm", config={"cache": cache}), _context()).embed(["a word"])
        verified = ", weights verified"
    return f"{embedder.identity}, {width} dimensions{verified}"


def _index(settings: Settings) -> str:
    """The index opens with the configured embedder."""
    from retrieval.index import PassageIndex
    from service.registry import EMBEDDERS, build

    folder = settings.state_dir / "index"
    if not folder.exists():
        return "there is none yet; `suture serve` makes it"
    return f"{len(PassageIndex(folder, build(EMBEDDERS, settings.embedder, _context())))} passages"


def _policies(settings: Settings) -> str:
    """The policies can be read and fit the schema."""
    from service.guard.policy import load_policies
    from service.registry import verb_catalogue

    load_policies(settings.policies, verb_catalogue())
    return f"{settings.policies or 'the default set'} is valid; mode {settings.mode}"


def _topology(settings: Settings) -> str:
    from service.topology import load_topology

    services = load_topology(settings.topology).services
    unlisted = {name for service in services.values() for name in service.depends_on} - services.keys()
    if settings.topology is None:
        return "none: services are taken as independent of each other"
    named = f"; named but not listed: {', '.join(sorted(unlisted))}" if unlisted else ""
    return f"{settings.topology}: {', '.join(services) or 'no services'}{named}"


def _runbooks(settings: Settings) -> str:
    """Every file of the corpus can be read."""
    from runbooks.loader import load_corpus

    corpus = load_corpus([folder for folder in settings.corpus if folder.exists() or folder != settings.postmortems])
    if corpus.problems:
        raise BadInput("; ".join(str(problem) for problem in corpus.problems))
    return f"{len(corpus.documents)} documents, {len(corpus.runbooks)} with a catalogue"


def _executors(settings: Settings) -> str:
    """The configured executors accept their sections, and what they name answers."""
    from service.registry import build_executors

    executors = build_executors(settings.executors, _context())
    reached = [
        _connect(name, address) for name, section in settings.executors.items() for address in _addresses(section)
    ]
    if not executors:
        return "none is configured: nothing can be executed, only recommended"
    return ", ".join(sorted(executors)) + (f"; {', '.join(reached)} answer" if reached else "")


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


def _source(settings: Settings) -> str:
    """Who answers the queries of checks answers."""
    from service.registry import SOURCES, build

    if settings.source.name == "embedded":
        return f"embedded; {len(settings.scrape)} scrape targets"
    source = build(SOURCES, settings.source, _context())
    if not source.healthy():
        raise Unavailable(f"{source.name} does not answer; is its URL right, and is it running?")
    return f"{source.name} answers"


def _model(settings: Settings) -> str:
    if settings.model is None:
        return "none: the evidence ranker answers alone"
    return f"{settings.model}, weight {settings.model_weight:g}"


def _context() -> Context:
    from models.domain.base import utc_now
    from service.ports import Context
    from service.security.secrets import resolve_secret

    return Context(clock=utc_now, secret=resolve_secret)


CHECKS: tuple[tuple[str, Callable[[Settings], str]], ...] = (
    ("python", _python),
    ("state", _state),
    ("database", _database),
    ("embedder", _embedder),
    ("index", _index),
    ("policies", _policies),
    ("topology", _topology),
    ("runbooks", _runbooks),
    ("executors", _executors),
    ("source", _source),
    ("language model", _model),
)
"""In this order: what others need comes first."""
