"""The state of a local installation, opened without the parts that take long: no index, no model, no workflows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from models.domain.errors import BadInput, Unavailable

if TYPE_CHECKING:
    from service.guard.approvals import Approvals
    from service.language.ledger import Ledger
    from service.settings import Settings
    from service.store.audit import AuditLog
    from service.store.database import Database
    from service.store.executions import Executions
    from service.store.incidents import Incidents
    from service.store.keys import Keys
    from service.store.recommendations import Recommendations
    from service.store.state import KillSwitch


@dataclass(frozen=True)
class State:
    """The repositories."""

    settings: Settings
    database: Database
    audit: AuditLog
    incidents: Incidents
    executions: Executions
    recommendations: Recommendations
    keys: Keys
    kill_switch: KillSwitch


@contextmanager
def open_state(data: Path | None, *, create: bool = False) -> Iterator[State]:
    """The state of the installation in `data`. Raises BadInput where there is none and `create` is not set."""
    from service.settings import load_settings
    from service.telemetry import configure_logging

    settings = load_settings(state_dir=data)
    configure_logging("warning", settings.log_format)
    if not create and settings.database_url is None and not (settings.state_dir / "suture.db").is_file():
        raise BadInput(
            f"{settings.state_dir} holds no state of Suture; name another folder with --data, "
            "or start `suture serve`, which makes it"
        )
    with repositories(settings) as state:
        yield state


@contextmanager
def repositories(settings: Settings) -> Iterator[State]:
    """The repositories over the database of `settings`, which is made and migrated where needed.

    Raises Unavailable where it cannot be opened, or fails while it is used.
    """
    from sqlalchemy.exc import InterfaceError, OperationalError

    from models.domain.base import utc_now
    from service.guard.approvals import own_signing_key
    from service.store.audit import AuditLog
    from service.store.database import open_database
    from service.store.executions import Executions
    from service.store.incidents import Incidents
    from service.store.keys import Keys
    from service.store.recommendations import Recommendations
    from service.store.state import KillSwitch

    database = open_database(settings.database)
    audit = AuditLog(database, utc_now, lambda: own_signing_key(settings, AuditLog(database, utc_now)))
    try:
        yield State(
            settings=settings,
            database=database,
            audit=audit,
            incidents=Incidents(database, audit, utc_now),
            executions=Executions(database, audit, utc_now),
            recommendations=Recommendations(database, audit),
            keys=Keys(database, audit, utc_now),
            kill_switch=KillSwitch(database, audit),
        )
    except (OperationalError, InterfaceError) as error:
        raise Unavailable(f"the database {database.shown} does not do what is asked: {error.orig}") from error
    finally:
        database.close()


def open_ledger(state: State) -> Ledger:
    """What the language model took, and the answers that are kept."""
    from models.domain.base import utc_now
    from service.language.ledger import Ledger

    return Ledger(state.database, utc_now, state.settings.model_budget, state.settings.model_cache)


def approvals_of(state: State) -> Approvals:
    """Takes people's words; the service that runs the workflow sees them in the database."""
    from models.domain.base import utc_now
    from service.guard.approvals import Approvals, own_signing_key
    from service.guard.guard import Guard
    from service.guard.policy import load_policies
    from service.registry import verb_catalogue

    settings = state.settings
    # Policies can name people: who may not approve is told so now, not ignored later.
    policies = load_policies(settings.policies, verb_catalogue())
    guard = Guard(policies, settings, state.kill_switch, state.executions, utc_now)
    key, expires = own_signing_key(settings, state.audit), settings.approval_expires
    return Approvals(state.executions, key, expires, utc_now, keys=state.keys, guard=guard)


def actor() -> str:
    """How approvals and the audit log name who uses the command line: `cli:<user>`."""
    import getpass

    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # a container's user may have no name
        import os

        return f"cli:uid-{os.getuid()}"
