"""What every test may use: both databases, and whole installations in a folder of their own."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from tests.postgresql import new_database, temporary_server

PLUGIN = Path(__file__).parent / "plugin"
sys.path.insert(0, str(PLUGIN))  # as if that package were installed: its entry points are found


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a real PostgreSQL server of this test run. Tests make a database of their own in it."""
    with temporary_server() as server:
        yield server.get_uri()


@pytest.fixture
def new_postgres_database(request: pytest.FixtureRequest) -> Callable[[], str]:
    """Makes an empty database and gives its URL; the server starts when the first is asked for."""
    return lambda: new_database(request.getfixturevalue("postgres_url"))


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path, new_postgres_database: Callable[[], str]) -> str:
    """As `SUTURE_DATABASE_URL` takes it: every test that asks for this runs on both."""
    return f"sqlite:///{tmp_path / 'suture.db'}" if request.param == "sqlite" else new_postgres_database()


RUNBOOK = """
    ---
    id: {id}
    title: {title}
    services: ["*"]
    triggers:
      - signal.kind == "alert" && signal.name == "{alert}"
    actions:
      - id: fix
        title: Fix it with {verb}
        uses: ledger/{verb}
        with: {{name: "{target}"}}
        risk: low
        reversible: {reversible}
        approval: {approval}
        preconditions: [{precondition}]
        verify:
          - {{query: "healthy", is: "== 1", within: {within}, hold: 0s}}
        {rollback}
    ---
    # {title}
    ## Symptoms
    The alert {alert} fires and requests fail.
    ## Mitigation
    Fix it.
"""


@pytest.fixture
def make_runbook(tmp_path: Path) -> Callable[..., Path]:
    """Writes a runbook with one action into the installation's folder of runbooks."""

    def make(id_: str = "fix-shop", **changes: Any) -> Path:
        values = {
            "title": "Shop is broken", "alert": "ShopBroken", "verb": "write", "target": "shop", "reversible": "false",
            "approval": "policy", "precondition": "", "within": "0s", "rollback": "",
        } | changes  # fmt: skip
        folder = tmp_path / "runbooks"
        folder.mkdir(exist_ok=True)
        path = folder / f"{id_}.md"
        path.write_text(textwrap.dedent(RUNBOOK).strip().format(id=id_, **values) + "\n")
        return path

    return make


AUTOPILOT = '@id("test-autopilot") permit (principal == Autopilot::"suture", action, resource);\n'
PEOPLE = '@id("test-people") permit (principal in Role::"approver", action, resource);\n'


@pytest.fixture
def make_settings(tmp_path: Path) -> Callable[..., Any]:
    """Settings of an installation in `tmp_path`, in mode auto, that may do everything with the ledger."""
    from service.settings import load_settings

    def make(**changes: Any) -> Any:
        (tmp_path / "runbooks").mkdir(exist_ok=True)
        policies = tmp_path / "policies"
        policies.mkdir(exist_ok=True)
        (policies / "test.cedar").write_text(AUTOPILOT + PEOPLE)
        values: dict[str, Any] = {
            "state_dir": tmp_path / "state",
            "runbooks": (tmp_path / "runbooks",),
            "policies": policies,
            "mode": "auto",
            "autonomy": {"start": "auto"},
            "embedder": {"name": "hashing"},
            "executors": {"ledger": {"file": str(tmp_path / "ledger")}},
        }
        return load_settings(**(values | changes))

    return make


class Installation:
    """A whole installation that works in this process."""

    def __init__(self, parts: Any, folder: Path) -> None:
        self.parts = parts
        self._folder = folder
        self._loops: list[Any] = []

    def start(self, role: str = "all") -> Installation:
        from service.app import start_role

        self._loops = start_role(self.parts, role)
        return self

    def stop(self) -> None:
        from service.app import stop_role

        stop_role(self.parts, self._loops)

    def measure(self, value: float, metric: str = "healthy") -> None:
        """Let the embedded store know a value of a metric, now."""
        from models.detection.batch import Batch

        at = self.parts.clock().timestamp()
        self.parts.samples.append(Batch(at=at, series=({"__name__": metric},), values=np.array([value])))

    def alert(
        self,
        name: str = "ShopBroken",
        service: str = "shop",
        *,
        status: Literal["firing", "resolved"] = "firing",
        **labels: str,
    ) -> str:
        """Send an alert; returns the id of its incident."""
        from models.domain.base import Severity
        from models.domain.signal import Signal, SignalKind

        signal = Signal(
            kind=SignalKind.ALERT,
            name=name,
            at=self.parts.clock(),
            status=status,
            labels={"service": service, **labels},
            severity=Severity.CRITICAL,
            text="requests fail",
        )
        incident = self.parts.intake.signals([signal])[0].incident
        assert incident is not None
        return str(incident)

    def ended(self, incident: str, *statuses: str, seconds: float = 20) -> Any:
        """Wait until the incident is in one of the statuses; returns it."""
        return self.until(
            lambda: found if (found := self.parts.incidents.get(incident)).status in statuses else None,
            f"{incident} did not become {' or '.join(statuses)}",
            seconds,
        )

    def executions(self, incident: str) -> list[Any]:
        """The incident's executions, oldest first."""
        return [execution for _, execution in self.parts.executions.page(incident=incident)][::-1]

    def ledger(self) -> list[str]:
        """The names that were written to the ledger."""
        file = self._folder / "ledger"
        return [line.split()[1] for line in file.read_text().splitlines()] if file.exists() else []

    @staticmethod
    def until(found: Callable[[], Any], words: str, seconds: float = 20) -> Any:
        """Wait until `found` gives something."""
        import time

        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            if (value := found()) is not None:
                return value
            time.sleep(0.05)
        raise AssertionError(words)


@pytest.fixture
def installation(make_settings: Callable[..., Any], tmp_path: Path) -> Iterator[Callable[..., Installation]]:
    """Makes installations; what is still running at the end of the test is stopped."""
    from service.app import build_parts

    made: list[Installation] = []

    def make(**changes: Any) -> Installation:
        one = Installation(build_parts(make_settings(**changes)), tmp_path)
        made.append(one)
        return one

    yield make
    for one in made:
        one.stop()
