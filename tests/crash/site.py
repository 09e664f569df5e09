"""One installation under fire: its folder, its target, its workers, and what is asked of them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from dbos import DBOSClient
from sqlalchemy.exc import DBAPIError

from models.domain.base import utc_now
from models.domain.execution import FINAL_STATES, Execution, ExecutionState, Verdict
from models.domain.incident import WORKING_STATUSES, Incident
from service.remediation.durable import APPLICATION, workflow_database
from service.settings import load_settings
from service.store.audit import AuditLog
from service.store.database import Database
from service.store.executions import Executions
from service.store.incidents import Incidents
from tests.crash.kinds import KINDS, POLICIES, Kind
from tests.crash.lives import Died, Life, Refused, Workers

_LOOK_SECONDS = 0.02
_TARGET_SECONDS = 20.0
_STARTED_SECONDS = 20.0


@dataclass
class Case:
    """One incident that is driven. `accepted`: its signal was acknowledged. `said`: so was the person's word."""

    name: str
    kind: Kind
    on: str
    accepted: bool = False
    incident: str | None = None
    alerted_at: datetime | None = None
    """When its alert was sent first: one that is sent again says the same, as a sender's retry does."""
    said: bool = False
    cut: bool = False
    """A kill came between the marker of an act and its record."""


class Site:
    """Makes lives over one database. The worker that is named first has the state folder `a`, a second one `b`."""

    def __init__(self, folder: Path, workers: Workers, database_url: str | None, **settings: Any) -> None:
        self.folder = folder
        self.workers = workers
        self.cases: dict[str, Case] = {}
        self.lives: dict[str, Life] = {}
        self.mutations: list[str] = []
        for name in ("runbooks", "policies"):
            (folder / name).mkdir(parents=True)
        for kind in KINDS.values():
            (folder / "runbooks" / f"{kind.name}.md").write_text(kind.runbook)
        (folder / "policies" / "crash.cedar").write_text(POLICIES)
        (folder / "signing.key").write_text("the key of an installation that is not one")
        (folder / "signing.key").chmod(0o600)
        self._write_settings(database_url or f"sqlite:///{folder / 'suture.db'}", settings)
        self._target = subprocess.Popen(
            [sys.executable, "-S", str(Path(__file__).with_name("target.py")), str(folder)], stdin=subprocess.PIPE
        )
        self.until((folder / "effects").exists, _TARGET_SECONDS)
        self._database: Database | None = None

    def start(self, worker: str = "a", **options: Any) -> Life:
        """A life of a worker, which has none now; it is starting when this returns."""
        state = self.folder / worker
        life = self.workers.start(
            config=str(self.folder / "suture.yaml"), state=str(state), log=str(self.folder / f"{worker}.log"),
            mutations=self.mutations, **options,
        )  # fmt: skip
        self.lives[worker] = life
        return life

    def new(self, kind: str) -> Case:
        """Another case of a kind; nobody knows of it yet."""
        name = f"{kind}-{len(self.cases):04}"
        shared = KINDS[kind].shared
        self.cases[name] = Case(name, KINDS[kind], on="shared" if shared else name)
        return self.cases[name]

    def send(self, case: Case, life: Life) -> bool:
        """Send the case's alert until it is acknowledged; False where the worker died first."""
        case.alerted_at = case.alerted_at or utc_now()
        with suppress(Died):
            incident = life.ask("alert", case.name, alert=case.kind.name, on=case.on, at=case.alerted_at.isoformat())
            case.accepted, case.incident = True, incident or case.incident
        return case.accepted

    def speak(self, case: Case, life: Life) -> None:
        """Say the person's word, where the case waits for one and it was not acknowledged yet."""
        if case.kind.word is None or case.said or (execution := self._waiting(case)) is None:
            return
        with suppress(Died):
            try:
                if case.kind.word == "cancel":
                    life.ask("cancel", case.name, execution=execution.id, by="ann")
                else:
                    life.ask("word", case.name, execution=execution.id, approved=case.kind.word == "approve", by="ann")
            except Refused as refused:
                # An earlier one was stored, and the kill came before its acknowledgement.
                if "already decided" not in str(refused) and "Conflict" not in str(refused):
                    raise
            case.said = True

    def incident(self, case: Case) -> Incident | None:
        """The case's incident, whether or not its number was acknowledged."""
        if case.incident is None:
            found = [one.id for one in self.incidents.page(limit=1000) if case.name in one.services]
            case.incident = found[0] if found else None
        return self.incidents.get(case.incident) if case.incident else None

    def of(self, case: Case) -> list[Execution]:
        """The case's executions, oldest first."""
        if case.incident is None:
            return []
        return [execution for _, execution in self.executions.page(incident=case.incident, limit=100)][::-1]

    def ended(self, case: Case) -> bool:
        """Whether nothing goes on in the case's incident any more."""
        incident = self.incident(case)
        return incident is not None and incident.status not in WORKING_STATUSES

    def effects(self, case: Case) -> int:
        """How often the target says that something was done for a case."""
        lines = (self.folder / "effects").read_text().splitlines()
        return sum(json.loads(line)["name"] == case.on for line in lines)

    def note_cuts(self) -> None:
        """After a kill: remember the acts that have a marker and no record. Only they may become uncertain."""
        for case in self.cases.values():
            for execution in self.of(case) if case.incident and not case.cut else ():
                ended = {step.name for step in execution.steps if step.state != "started"}
                begun = {step.name for step in execution.steps if step.state == "started"}
                case.cut = case.cut or (execution.state not in FINAL_STATES and bool(begun - ended))

    @property
    def database(self) -> Database:
        """The store, read from outside; its tables are there from the first life on."""
        if self._database is None:
            self._database = Database(self._url)
            self.until(self._is_made, _STARTED_SECONDS)
        return self._database

    @property
    def audit(self) -> AuditLog:
        return AuditLog(self.database, utc_now)

    @property
    def incidents(self) -> Incidents:
        return Incidents(self.database, self.audit, utc_now)

    @property
    def executions(self) -> Executions:
        return Executions(self.database, self.audit, utc_now)

    @cached_property
    def client(self) -> DBOSClient:
        """Asks DBOS about its workflows, from outside."""
        url = workflow_database(self.settings)
        return DBOSClient(system_database_url=url, application_name=APPLICATION, lazy=True)

    @property
    def settings(self) -> Any:
        """The installation's settings, as its workers read them."""
        return load_settings(**yaml.safe_load((self.folder / "suture.yaml").read_text()), state_dir=self.folder / "a")

    def log(self) -> str:
        """The end of the workers' logs."""
        files = sorted(self.folder.glob("*.log"))
        return "\n".join(file.read_text(errors="replace")[-3000:] for file in files)

    @staticmethod
    def until(holds: Callable[[], Any], seconds: float) -> bool:
        """Whether it came to hold within so many seconds."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            if holds():
                return True
            time.sleep(_LOOK_SECONDS)
        return False

    def close(self) -> None:
        """End its processes."""
        for life in self.lives.values():
            life.close()
        if self._database is not None:
            self._database.close()
        if "client" in vars(self):
            self.client.destroy()
        assert self._target.stdin is not None
        self._target.stdin.close()
        self._target.wait(10)

    def _waiting(self, case: Case) -> Execution | None:
        if self.incident(case) is None:
            return None
        return next(
            (
                one
                for one in self.of(case)
                if one.state is ExecutionState.PENDING and one.decision.verdict is Verdict.NEEDS_APPROVAL
            ),
            None,
        )

    def _write_settings(self, database_url: str, more: dict[str, Any]) -> None:
        target = {"socket": str(self.folder / "target.sock")}
        settings: dict[str, Any] = {
            "database_url": database_url,
            "runbooks": [str(self.folder / "runbooks")],
            "policies": str(self.folder / "policies"),
            "signing_key": f"file:{self.folder / 'signing.key'}",
            "mode": "auto",
            "autonomy": {"start": "auto"},
            "embedder": {"name": "hashing"},
            "detector": {"name": "off"},
            "source": {"name": "target", "config": target},
            "executors": {"target": target},
        }
        (self.folder / "suture.yaml").write_text(yaml.safe_dump(settings | more))
        self._url = self.settings.database

    def _is_made(self) -> bool:
        try:
            Incidents(self._database, AuditLog(self._database, utc_now), utc_now).counts()  # type: ignore[arg-type]
        except DBAPIError:
            return False
        return True
