"""The REST API over real repositories in a temporary folder; what acts or retrieves is left out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from models.domain.errors import NotFound
from models.domain.execution import Decision, Execution, Mode, Verdict
from models.domain.incident import Incident
from models.domain.recommendation import Candidate
from models.domain.runbook import Check
from models.domain.topology import Topology
from service.api import create_api
from service.changing import ChangeNotes
from service.discovery.book import TopologyBook
from service.discovery.traces import TraceReader
from service.guard.approvals import Approvals
from service.guard.autonomy import Levels
from service.guard.shadows import Shadows
from service.intake import Intake
from service.itsm.embedded import EmbeddedTicketing
from service.log_intake import LogIntake
from service.parts import Parts
from service.pipeline import Pipeline
from service.security.webhooks import Webhooks
from service.settings import Settings
from service.slo.file import slo_book
from service.standing_checks.book import StandingBook
from service.store.audit import AuditLog
from service.store.autonomy import Autonomies
from service.store.changes import Changes
from service.store.database import open_database
from service.store.executions import Executions
from service.store.feedback import Feedbacks
from service.store.incidents import Incidents
from service.store.keys import Keys, Role
from service.store.maintenance import Maintenance
from service.store.recommendations import Recommendations
from service.store.replicas import Replicas
from service.store.samples import SampleStore
from service.store.silences import Silences
from service.store.state import DetectorStates, KillSwitch
from service.store.topology import Edges

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


class Source:
    name = "embedded"
    up = True

    def healthy(self) -> bool:
        return self.up


class Index:
    def search(self, query: str, k: int) -> list[Any]:
        return []


class Corpus:
    """No documents."""

    def runbooks(self) -> tuple[Any, ...]:
        return ()

    def action(self, runbook: str, action: str) -> Any:
        raise NotFound(f"no runbook has the action {runbook}/{action}")


class Remediation:
    """No workflow runs here."""


@dataclass
class Api:
    parts: Parts
    client: TestClient
    headers: dict[str, str]

    def as_role(self, role: Role, name: str | None = None) -> dict[str, str]:
        _, text = self.parts.keys.create(name or f"a {role}", role, "test")
        return {"Authorization": f"Bearer {text}"}

    def __call__(self, method: str, path: str, **options: Any) -> Any:
        """A request with the admin's key."""
        return self.client.request(method, path, headers=self.headers | options.pop("headers", {}), **options)


def incident(**changes: Any) -> Incident:
    fields = {"id": "INC-0", "title": "shop is down", "started_at": NOW, "detected_at": NOW, "updated_at": NOW}
    return Incident.model_validate({**fields, **changes})


def execution(identifier: str, of: str, **changes: Any) -> Execution:
    candidate = Candidate(
        incident=of, environment="sandbox", service="shop", runbook="service-down", action="restart", title="Restart",
        uses="process/restart", arguments={"name": "shop"}, target=f"process:{identifier}", parameters={},
        risk="low", reversible=True, approval="policy", timeout=timedelta(seconds=60), preconditions=(),
        verify=(Check(query="up", condition="== 1"),), rollback=None,
    )  # fmt: skip
    decision = Decision(
        candidate_hash=candidate.hash, verdict=Verdict.NEEDS_APPROVAL, mode=Mode.APPROVE, reason="mode approve",
        approver_role="approver", approvals_needed=1, decided_at=NOW,
    )  # fmt: skip
    return Execution(
        id=identifier, incident=of, candidate=candidate, probability=0.8, decision=decision, created_at=NOW, **changes
    )


@pytest.fixture
def make_parts(tmp_path: Path) -> Iterator[Callable[[], Parts]]:
    made: list[Parts] = []

    def make() -> Parts:
        settings = Settings(state_dir=tmp_path, mode=Mode.APPROVE)
        clock = lambda: NOW  # noqa: E731
        database = open_database(settings.database)
        audit = AuditLog(database, clock)
        incidents, executions = Incidents(database, audit, clock), Executions(database, audit, clock)
        samples = SampleStore(
            f"sqlite:///{tmp_path / 'samples.db'}", retention=settings.retention, max_series=100, clock=clock
        )
        states = DetectorStates(database, clock)
        stand_in: Any = None
        discovery = TopologyBook(Topology(), Edges(database, 100), settings.discovery, clock)
        pipeline = Pipeline(
            settings=settings,
            clock=clock,
            topology=Topology(),
            corpus=stand_in,
            evidence=stand_in,
            source=None,
            discovery=discovery,
        )
        changes = Changes(database, clock)
        notes = ChangeNotes(database, changes, incidents, Topology())
        intake = Intake(pipeline, database, incidents, samples, states, settings, clock, notes)
        intake.start_detecting()
        logs = LogIntake(intake, states, changes, settings, clock)
        logs.start()
        keys = Keys(database, audit, clock)
        approvals = Approvals(executions, b"key", settings.approval_expires, clock, keys=keys)
        levels = Levels(Autonomies(database, audit), executions, incidents, settings, clock)
        recommendations = Recommendations(database, audit)
        shadows = Shadows(levels, incidents, executions, recommendations, settings, clock)
        corpus: Any = Corpus()
        slos = slo_book(settings.slos, database, clock)
        others: dict[str, Any] = {"source": Source(), "index": Index(), "remediation": Remediation()}
        made.append(
            Parts(
                settings=settings, clock=clock, database=database, audit=audit, incidents=incidents,
                executions=executions, recommendations=recommendations,
                keys=Keys(database, audit, clock), webhooks=Webhooks(settings.webhooks), levels=levels, shadows=shadows,
                kill_switch=KillSwitch(database, audit), maintenance=Maintenance(database, audit, clock),
                silences=Silences(database, audit, clock), feedbacks=Feedbacks(database, audit, clock),
                detector_states=states, samples=samples, topology=Topology(), corpus=corpus, executors={},
                ticketing=EmbeddedTicketing(database.engine, clock), intake=intake, pipeline=pipeline,
                traces=TraceReader(), call_metrics=stand_in, discovery=discovery,
                logs=logs, notes=notes, changes=changes,
                guard=stand_in, approvals=approvals,
                replicas=Replicas(database, audit, settings.replica_lease),
                slos=slos, slo_keeper=stand_in, standing=StandingBook(settings.checks, database, clock),
                standing_keeper=stand_in, **others,
            )
        )  # fmt: skip
        return made[-1]

    yield make
    for parts in made:
        parts.samples.close()
        parts.database.close()


@pytest.fixture
def api(make_parts: Callable[[], Parts]) -> Api:
    parts = make_parts()
    _, text = parts.keys.create("root", Role.ADMIN, "test")
    return Api(parts, TestClient(create_api(parts)), {"Authorization": f"Bearer {text}"})


@pytest.fixture
def with_parts(api: Api) -> Callable[..., Api]:
    """The same API with other parts in place."""

    def change(**parts: Any) -> Api:
        changed = replace(api.parts, **parts)
        return Api(changed, TestClient(create_api(changed)), api.headers)

    return change


@pytest.fixture
def opened(api: Api) -> Callable[..., Incident]:
    """Stores an incident."""

    def add(**changes: Any) -> Incident:
        with api.parts.database.write() as connection:
            return api.parts.incidents.add(connection, incident(**changes))

    return add


@pytest.fixture
def waiting(api: Api) -> Callable[[str, str], Execution]:
    """Stores an execution that waits for a person."""

    def add(identifier: str, of: str) -> Execution:
        made = execution(identifier, of)
        api.parts.executions.add(made, "workflow-1")
        return made

    return add
