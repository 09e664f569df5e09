"""The checks of `suture doctor`: each says in words what it found, or raises an error whose words say the mend."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from models.domain.errors import BadInput, SutureError, Unavailable
from service.cli.output import counted, shown
from service.cli.reach import checks, context, executors, objectives, scraping, source, ticketing, webhooks
from service.state_folder import check_state_folder

if TYPE_CHECKING:
    from service.settings import Settings

_OTHER_VARIABLES = ("SUTURE_DATA",)
"""Read by tests and evaluations."""


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


def _settings(settings: Settings) -> str:
    """Where they come from. A variable that is no setting is most often a slip of the pen."""
    from service.settings import CONFIG_VARIABLE

    known = {CONFIG_VARIABLE, *(f"SUTURE_{name.upper()}" for name in type(settings).model_fields), *_OTHER_VARIABLES}
    unknown = sorted(key for key in os.environ if key.startswith("SUTURE_") and key.split("__")[0] not in known)
    if unknown:
        raise BadInput(f"no setting has the name of {', '.join(unknown)}; `suture config` lists all")
    return os.environ.get(CONFIG_VARIABLE) or f"the defaults and the environment; {CONFIG_VARIABLE} names no file"


def _state(settings: Settings) -> str:
    """The folder of the state, and whose the admin key is."""
    from service.security.auth import ADMIN_KEY_FILE

    folder = settings.state_dir
    check_state_folder(folder)
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
    from sqlalchemy.exc import OperationalError

    from service.store import database as module

    if settings.database_url is None and not (settings.state_dir / "suture.db").exists():
        return "there is none yet; `suture serve` makes it"
    database = module.Database(settings.database)
    try:
        with database.read() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
    except OperationalError as error:
        raise Unavailable(f"{database.shown} cannot be opened: {error.orig}") from error
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


def _replicas(settings: Settings) -> str:
    """Which workers are alive. None need be: this command is there for when none is."""
    from models.domain.base import utc_now
    from service.store import database as module
    from service.store.audit import AuditLog
    from service.store.replicas import Replicas

    if settings.database_url is None and not (settings.state_dir / "suture.db").exists():
        return "none has run yet"
    database = module.Database(settings.database)
    try:
        states = Replicas(database, AuditLog(database, utc_now), settings.replica_lease).states()
    finally:
        database.close()
    now = [one for one in states if one.state in ("alive", "silent")]
    told = ", ".join(f"{one.host} {one.state}, last sign {one.beat_seconds_ago:.0f} s ago" for one in now)
    return told or "no worker runs; `suture serve` starts one"


def _embedder(settings: Settings) -> str:
    """The embedder works; of MiniLM also the weights, which are only looked at when their graph is built."""
    from service.registry import EMBEDDERS, build
    from service.settings import Adapter

    embedder = build(EMBEDDERS, settings.embedder, context())
    width = embedder.embed(["a word"]).shape[1]
    verified = ""
    if settings.embedder.name == "minilm":
        with TemporaryDirectory(prefix="suture-") as cache:
            build(EMBEDDERS, Adapter(name="minilm", config={"cache": cache}), context()).embed(["a word"])
        verified = ", weights verified"
    return f"{embedder.identity}, {width} dimensions{verified}"


def _index(settings: Settings) -> str:
    """The index opens with the configured embedder."""
    from retrieval.index import PassageIndex
    from service.registry import EMBEDDERS, build

    folder = settings.state_dir / "index"
    if not folder.exists():
        return "there is none yet; `suture serve` makes it"
    return counted(len(PassageIndex(folder, build(EMBEDDERS, settings.embedder, context()))), "passage")


def _policies(settings: Settings) -> str:
    """The policies can be read and fit the schema."""
    from service.guard.policy import load_policies
    from service.registry import verb_catalogue

    names = load_policies(settings.policies, verb_catalogue()).names
    modes = ", ".join(f"{environment}: {mode}" for environment, mode in settings.modes.items())
    permits = ", ".join(names) or "no policy, so everything is forbidden"
    return f"{settings.policies or 'the default set'}: {permits}; mode {settings.mode}{f' ({modes})' if modes else ''}"


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
    from service.corpus import read_corpus

    corpus = read_corpus(settings)
    if corpus.problems:
        raise BadInput("; ".join(str(problem) for problem in corpus.problems))
    return f"{counted(len(corpus.documents), 'document')}, {len(corpus.runbooks)} with actions"


def _detector(settings: Settings) -> str:
    """The detector accepts its section."""
    from service.registry import DETECTORS, build

    if settings.detector.name == "off":
        return "off: only alerts and other signals open incidents"
    build(DETECTORS, settings.detector, context())
    return settings.detector.name


def _model(settings: Settings) -> str:
    if settings.model is None:
        return "none: the evidence ranker answers alone"
    unused = "" if settings.model_weight else ": it justifies, and changes no order until its skill was measured"
    return f"{settings.model}, weight {settings.model_weight:g}{unused} (not called by this check)"


CHECKS: tuple[tuple[str, Callable[[Settings], str]], ...] = (
    ("python", _python),
    ("settings", _settings),
    ("state", _state),
    ("database", _database),
    ("replicas", _replicas),
    ("embedder", _embedder),
    ("index", _index),
    ("policies", _policies),
    ("topology", _topology),
    ("runbooks", _runbooks),
    ("executors", executors),
    ("scraping", scraping),
    ("webhooks", webhooks),
    ("source", source),
    ("objectives", objectives),
    ("checks", checks),
    ("detector", _detector),
    ("ticketing", ticketing),
    ("language model", _model),
)
"""In this order: what others need comes first."""
