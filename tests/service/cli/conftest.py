import logging
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from models.domain.execution import Decision, Execution, Mode, Verdict
from models.domain.incident import Incident
from models.domain.recommendation import Candidate
from models.domain.runbook import Check
from service.cli.main import app
from service.cli.state import State, repositories
from service.settings import load_settings


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("SUTURE_"):
            monkeypatch.delenv(name)
    monkeypatch.delenv("COLUMNS", raising=False)  # the width is the output's, not that of whoever runs the tests


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """A command configures the logging of its process; here that is the process of all tests."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def suture() -> Callable[..., Any]:
    """Runs the command line in this process: `exit_code`, `stdout`, `stderr`."""

    def run(*arguments: str, stdin: str | None = None) -> Any:
        return CliRunner().invoke(app, list(arguments), input=stdin)

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where an installation keeps its state; `stored` makes one."""
    return tmp_path / "state"


@pytest.fixture
def stored(folder: Path) -> Callable[[], AbstractContextManager[State]]:
    def opened() -> AbstractContextManager[State]:
        return repositories(load_settings(state_dir=folder))

    return opened


@pytest.fixture
def installation(folder: Path, stored: Callable[[], AbstractContextManager[State]]) -> Path:
    """A folder with one incident and one execution of it that waits for a person."""
    now = datetime.now(UTC)
    with stored() as state:
        with state.database.write() as connection:
            incident = state.incidents.add(
                connection,
                Incident(
                    id="INC-0", title="shop is down \x1b[31m", services=("shop",), started_at=now, detected_at=now,
                    updated_at=now,
                ),
            )  # fmt: skip
        state.executions.add(waiting("EXE-1", incident.id, now), "workflow-1")
    return folder


def waiting(identifier: str, incident: str, now: datetime) -> Execution:
    candidate = Candidate(
        incident=incident, environment="sandbox", service="shop", runbook="service-down", action="restart",
        title="Restart the shop", uses="process/restart", arguments={"name": "shop"}, target="process:shop",
        parameters={}, risk="low", reversible=True, approval="policy", timeout=timedelta(seconds=60), preconditions=(),
        verify=(Check(query="up", condition="== 1"),), rollback=None,
    )  # fmt: skip
    decision = Decision(
        candidate_hash=candidate.hash, verdict=Verdict.NEEDS_APPROVAL, mode=Mode.APPROVE, reason="mode approve",
        approver_role="approver", approvals_needed=1, decided_at=now,
    )  # fmt: skip
    return Execution(
        id=identifier, incident=incident, candidate=candidate, probability=0.8, decision=decision, created_at=now
    )
