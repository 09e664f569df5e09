"""The real `suture serve` as a child process, its settings in a file, and people and machines that talk to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest
import yaml

from evals.sandbox.layout import HOST, free_ports

PLUGIN = Path(__file__).parents[1] / "plugin"
SUTURE = (sys.executable, "-c", "from service.cli.main import run; run()")
READY_SECONDS = 90.0
WAIT_SECONDS = 60.0
"""A machine with other work needs many times what an idle one does."""

POLICIES = """
@id("test-autopilot") permit (principal == Autopilot::"suture", action, resource);
@id("test-people") permit (principal in Role::"approver", action, resource);
"""

RUNBOOK = """
    ---
    id: {id}
    title: {alert}
    services: ["*"]
    triggers: ['{trigger}']
    parameters:
      service: {{type: string, from: incident.service, pattern: "^[a-z0-9-]{{1,40}}$"}}
    actions:
      - id: fix
        title: Fix it for {alert}
        uses: {uses}
        with: {arguments}
        risk: low
        reversible: false
        timeout: 10s
        approval: {approval}
        verify:
          - {{query: '{query}', is: "== 1", within: 20s, hold: 0s}}
    ---
    # {alert}
    ## Symptoms
    The alert {alert} fires and requests fail.
    ## Mitigation
    Fix it.
"""


class Process:
    """One `suture serve` over an installation."""

    def __init__(self, suture: Suture, role: str, state_dir: Path) -> None:
        self._suture = suture
        self.role = role
        self.state_dir = state_dir
        self.url = ""
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    def start(self) -> Process:
        """Begin to start, on a port of its own; `ready` waits for it."""
        port = free_ports(("service",))["service"]
        self.url = f"http://{HOST}:{port}"
        options = ["--role", self.role, "--host", HOST, "--port", str(port), "--data", str(self.state_dir)]
        with self._suture.log.open("ab") as log:
            self._child = subprocess.Popen(
                [*SUTURE, "serve", *options], env=self._suture.environment, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        return self

    def ready(self) -> Process:
        """Wait until /readyz is 200."""
        assert self._child is not None
        ends = time.monotonic() + READY_SECONDS
        while time.monotonic() < ends and self._child.poll() is None:
            with suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/readyz", timeout=5, trust_env=False).is_success:
                    return self
            time.sleep(0.05)
        raise AssertionError(f"suture serve is not ready; its log:\n{self._suture.log_end()}")

    def kill(self) -> None:
        """SIGKILL: nothing of the process gets to run any more."""
        assert self._child is not None
        self._child.kill()
        self._child.wait(10)

    def wait_killed(self, seconds: float = WAIT_SECONDS) -> None:
        """Wait until somebody else has killed it."""
        assert self._child is not None
        assert self._child.wait(seconds) == -9, self._suture.log_end()

    def stop(self) -> int:
        """SIGTERM, as a process manager ends it; the exit code."""
        assert self._child is not None
        self._child.terminate()
        return self._child.wait(30)

    def end(self) -> None:
        """Whatever happened: no process is left, none of its children either."""
        if self._child is None or self._child.poll() is not None:
            return
        left = psutil.Process(self._child.pid).children(recursive=True)
        self._child.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(20)
        self._child.kill()
        self._child.wait()
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()


class Suture:
    """An installation in a folder: settings file, runbooks, policies, state; its processes and its command line."""

    def __init__(self, folder: Path, database_url: str | None = None, **settings: Any) -> None:
        self.folder = folder
        self.state_dir = folder / "state"
        self.log = folder / "log"
        self.ledger_file = folder / "ledger"
        for name in ("runbooks", "policies"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "policies" / "test.cedar").write_text(POLICIES)
        self.settings: dict[str, Any] = {
            "runbooks": [str(folder / "runbooks")],
            "policies": str(folder / "policies"),
            "mode": "auto",
            "autonomy": {"start": "auto"},
            "embedder": {"name": "hashing"},
            "executors": {"ledger": {"file": str(self.ledger_file)}},
            "database_url": database_url,
        } | settings
        self.processes: list[Process] = []
        self.configure()

    def configure(self, **changes: Any) -> None:
        """Write the settings file; a process that starts later reads it."""
        self.settings |= changes
        self.settings_file.write_text(yaml.safe_dump(self.settings))

    @property
    def settings_file(self) -> Path:
        return self.folder / "suture.yaml"

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SUTURE_")}
        packages = os.pathsep.join([str(PLUGIN), *filter(None, [kept.get("PYTHONPATH")])])
        return {**kept, "SUTURE_CONFIG": str(self.settings_file), "PYTHONPATH": packages}

    def runbook(self, alert: str, **changes: Any) -> None:
        """Write a runbook for an alert. By default it writes the incident's service into the ledger."""
        values = {
            "id": alert.lower(), "alert": alert, "uses": "ledger/write", "approval": "policy", "query": "healthy",
            "trigger": f'signal.kind == "alert" && signal.name == "{alert}"',
            "arguments": {"name": "{{ service }}"},
        } | changes  # fmt: skip
        values["arguments"] = json.dumps(values["arguments"])
        path = self.folder / "runbooks" / f"{values['id']}.md"
        path.write_text(textwrap.dedent(RUNBOOK).strip().format(**values) + "\n")

    def serve(self, role: str = "all", state_dir: Path | None = None) -> Process:
        """A ready process."""
        return self.begin(role, state_dir).ready()

    def begin(self, role: str = "all", state_dir: Path | None = None) -> Process:
        """A process that is starting, by default over the installation's state folder."""
        process = Process(self, role, state_dir or self.state_dir).start()
        self.processes.append(process)
        return process

    @property
    def process(self) -> Process:
        """The newest."""
        return self.processes[-1]

    def end(self) -> None:
        for process in self.processes:
            process.end()

    def call(self, method: str, path: str, *, key: str | None = None, to: Process | None = None, **options: Any) -> Any:
        """A request with the admin's key, or another; the response."""
        text = key or (self.state_dir / "admin.key").read_text().strip()
        headers = {"Authorization": f"Bearer {text}"}
        url = f"{(to or self.process).url}{path}"
        return httpx.request(method, url, headers=headers, timeout=30, trust_env=False, **options)

    def get(self, path: str, **parameters: Any) -> Any:
        answer = self.call("GET", path, params=parameters)
        assert answer.is_success, answer.text
        return answer.json()

    def post(self, path: str, body: Any, *, status: int, key: str | None = None, to: Process | None = None) -> Any:
        answer = self.call("POST", path, json=body, key=key, to=to)
        assert answer.status_code == status, answer.text
        return answer.json()

    def key(self, name: str, role: str) -> str:
        """A new key of a person or a machine."""
        return str(self.post("/v1/keys", {"name": name, "role": role}, status=201)["text"])

    def measure(self, value: float, *, metric: str = "healthy", to: Process | None = None) -> None:
        """Send a sample of a metric."""
        samples = [{"labels": {"__name__": metric}, "at": time.time(), "value": value}]
        self.post("/v1/telemetry", {"samples": samples}, status=202, to=to)

    def alert(self, name: str, service: str = "shop", *, to: Process | None = None) -> str:
        """Send an alert; its incident's id. The signal is durable when this returns."""
        signal = {"kind": "alert", "name": name, "labels": {"service": service}, "severity": "critical"}
        [taken] = self.post("/v1/signals", [signal], status=202, to=to)["accepted"]
        assert taken["incident"] is not None, taken
        return str(taken["incident"])

    def incident(self, identifier: str) -> Any:
        return self.get(f"/v1/incidents/{identifier}")

    def ended(self, identifier: str, *statuses: str, seconds: float = WAIT_SECONDS) -> Any:
        """Wait until the incident is in one of the statuses (default: resolved or escalated); the incident."""
        wanted = statuses or ("resolved", "escalated")

        def look() -> Any:
            found = self.incident(identifier)
            return found if found["status"] in wanted else None

        return self.until(look, f"{identifier} did not become {' or '.join(wanted)}", seconds)

    def executions(self, incident: str) -> list[Any]:
        """The incident's executions, oldest first."""
        return list(self.get("/v1/executions", incident=incident)["items"][::-1])

    def ticket(self, incident: str) -> Any:
        """Wait until the incident's ticket is closed; the ticket with its comments."""

        def look() -> Any:
            for listed in self.get("/v1/tickets", incident=incident)["items"]:
                found = self.get(f"/v1/tickets/{listed['reference']}")
                if found["status"] == "closed":
                    return found
            return None

        return self.until(look, f"the ticket of {incident} was not closed")

    def ledger(self) -> list[str]:
        """The names that were written into the ledger, in order."""
        if not self.ledger_file.exists():
            return []
        return [line.split()[1] for line in self.ledger_file.read_text().splitlines()]

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`suture …` in a process of its own, over the same installation."""
        return subprocess.run(
            [*SUTURE, *arguments, "--data", str(self.state_dir)],
            env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip

    def until(self, look: Callable[[], Any], words: str, seconds: float = WAIT_SECONDS) -> Any:
        """Wait until `look` gives something that is not None."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            if (found := look()) is not None:
                return found
            time.sleep(0.05)
        raise AssertionError(f"{words} in {seconds:.0f} s; the end of the log:\n{self.log_end()}")

    def log_end(self) -> str:
        return self.log.read_text(errors="replace")[-3000:] if self.log.exists() else ""


@pytest.fixture(scope="module")
def new_database(request: pytest.FixtureRequest) -> Callable[[], str]:
    """Makes an empty database on PostgreSQL and gives its URL."""

    def make() -> str:
        server = str(request.getfixturevalue("postgres_url"))
        name = f"e2e_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return server.replace("/postgres?", f"/{name}?", 1)

    return make


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared_database(request: pytest.FixtureRequest, new_database: Callable[[], str]) -> str | None:
    """A database for all tests of a file: None for SQLite in the folder of the state, or a URL of PostgreSQL."""
    return None if request.param == "sqlite" else new_database()


@pytest.fixture(scope="module")
def suture_of() -> Iterator[Callable[..., Suture]]:
    """Makes installations in a folder. Every process of theirs is ended with the file of tests."""
    made: list[Suture] = []

    def make(folder: Path, database_url: str | None = None, **settings: Any) -> Suture:
        made.append(Suture(folder, database_url, **settings))
        return made[-1]

    yield make
    for one in made:
        one.end()
