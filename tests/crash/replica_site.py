"""An installation of several replicas of the real service, and targets that write down what was done to them."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import yaml

from evals.sandbox.layout import HOST, free_ports

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = ROOT / "tests" / "plugin"
_READY_SECONDS = 120.0

POLICY = '@id("test-autopilot") permit (principal == Autopilot::"suture", action, resource);\n'
RUNBOOK = """---
id: target-broken
title: A target is broken
services: ["*"]
triggers: ['signal.kind == "alert" && signal.name == "TargetBroken"']
parameters:
  target: {type: string, from: incident.labels.target, pattern: "^target-[0-9]+$"}
actions:
  - id: mend
    title: Mend the target
    uses: script/run
    with: {program: "{{ target }}", args: [mend]}
    risk: low
    reversible: false
    timeout: 5s
    verify: [{query: healthy, is: "== 1", within: 20s, hold: 0s}]
---
# A target is broken
## Symptoms
The alert TargetBroken fires and requests fail.
## Mitigation
Mend it.
"""
# The effect is the line at the start. A second one that works at the same time, on this target, finds the lock taken.
TARGET = """#!{python} -IS
import fcntl, os, sys, time
key, name = os.environ["SUTURE_IDEMPOTENCY_KEY"], os.path.basename(sys.argv[0])
file = os.path.join("written", name)
if sys.argv[1] == "happened":
    lines = open(file).read().splitlines() if os.path.exists(file) else []
    sys.exit(0 if f"start {{key}}" in lines else 1)
def write(word):
    with open(file, "a") as out:
        out.write(f"{{word}} {{key}}\\n")
lock = open(os.path.join("locks", name), "a")
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    write("overlap")
write("start")
time.sleep({seconds})
write("end")
"""


@dataclass(frozen=True)
class Plan:
    """How much is done. A replica is killed so many seconds, at random between the two, after it was ready; now and
    then after its start.
    """

    incidents: int = 500
    targets: int = 50
    seed: int = 1
    lives: tuple[float, float] = (0.5, 8.0)
    lease_seconds: float = 5.0
    act_seconds: float = 0.3
    limit_seconds: float = 1800.0


class Service:
    """One `suture serve --role all`, on a state folder and a port of its own."""

    def __init__(self, folder: Path, state: Path) -> None:
        self.state = state
        self.url = ""
        self._folder = folder
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> Service:
        """Begin to start."""
        port = free_ports(("service",))["service"]
        self.url = f"http://{HOST}:{port}"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SUTURE_")}
        path = os.pathsep.join([str(ROOT), str(PLUGIN), *filter(None, [kept.get("PYTHONPATH")])])
        command = [sys.executable, "-c", "from service.cli.main import run; run()", "serve", "--role", "all"]
        with (self._folder / "log").open("ab") as log:
            self._child = subprocess.Popen(
                [*command, "--host", HOST, "--port", str(port), "--data", str(self.state)],
                env={**kept, "SUTURE_CONFIG": str(self._folder / "suture.yaml"), "PYTHONPATH": path},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        return self

    def ready(self) -> Service:
        """Wait until it can work."""
        ends = time.monotonic() + _READY_SECONDS
        while time.monotonic() < ends:
            assert self._child is not None
            if self._child.poll() is not None:
                if "another program listens" not in self._log()[-300:]:
                    break
                self.start()  # a connection was given the same port meanwhile
            with suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/readyz", timeout=5, trust_env=False).is_success:
                    return self
            time.sleep(0.1)
        raise RuntimeError(f"suture serve is not ready; its log ends:\n{self._log()[-3000:]}")

    def _log(self) -> str:
        return (self._folder / "log").read_text()

    def kill(self, number: int = signal.SIGKILL) -> None:
        """By default nothing of it gets to run any more."""
        assert self._child is not None
        self._child.send_signal(number)
        if number not in (signal.SIGSTOP, signal.SIGCONT):
            self._child.wait(60)

    def wait(self, seconds: float) -> int:
        """Its exit code, once it has ended by itself."""
        assert self._child is not None
        return self._child.wait(seconds)

    def end(self) -> None:
        """Whatever happened: nothing is left."""
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(signal.SIGCONT)
            self._child.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._child.wait(20)
            self._child.kill()
            self._child.wait()


class Site:
    """An installation of several replicas: settings, targets, and an admin who talks to one of them."""

    def __init__(self, folder: Path, database: str, plan: Plan) -> None:
        self.folder = folder
        self.plan = plan
        self.database = database
        self.services: list[Service] = []
        for name in ("runbooks", "policies", "targets", "written", "locks"):
            (folder / name).mkdir()
        (folder / "policies" / "all.cedar").write_text(POLICY)
        (folder / "runbooks" / "target-broken.md").write_text(RUNBOOK)
        (folder / "secret").write_text(random.Random(plan.seed).randbytes(32).hex())
        (folder / "secret").chmod(0o600)
        programs = {}
        for number in range(plan.targets):
            file = folder / "targets" / f"target-{number}"
            file.write_text(TARGET.format(python=sys.executable, seconds=plan.act_seconds))
            file.chmod(0o755)
            programs[file.name] = {"path": str(file), "working_dir": str(folder), "observe": ["happened"]}
        settings = {
            "runbooks": [str(folder / "runbooks")],
            "policies": str(folder / "policies"),
            "mode": "auto",
            "autonomy": {"start": "auto"},
            "embedder": {"name": "hashing"},
            "detector": {"name": "off"},
            "executors": {"script": {"programs": programs}},
            "database_url": database,
            "signing_key": f"file:{folder / 'secret'}",
            "replica_lease": f"{plan.lease_seconds}s",
        }
        (folder / "suture.yaml").write_text(yaml.safe_dump(settings))

    def serve(self, name: str) -> Service:
        """A replica that is starting, on the state folder of that name."""
        service = Service(self.folder, self.folder / name).start()
        self.services.append(service)
        return service

    def end(self) -> None:
        """End every replica."""
        for service in self.services:
            service.end()

    def call(self, to: Service, method: str, path: str, **options: Any) -> Any:
        """What a replica answers to the admin."""
        [file] = self.folder.glob("*/admin.key")  # whichever replica was the first
        key = file.read_text().strip()
        headers = {"Authorization": f"Bearer {key}"}
        answer = httpx.request(method, f"{to.url}{path}", headers=headers, timeout=60, trust_env=False, **options)
        answer.raise_for_status()
        return answer.json()

    def alert(self, to: Service, numbers: range) -> list[str]:
        """Send an alert for each number; the incidents that they opened, one each."""
        signals = [
            {
                "kind": "alert", "name": "TargetBroken", "severity": "critical",
                "labels": {"service": f"service-{number}", "target": f"target-{number % self.plan.targets}"},
            }
            for number in numbers
        ]  # fmt: skip
        taken = self.call(to, "POST", "/v1/signals", json=signals)["accepted"]
        return [one["incident"] for one in taken]

    def healthy(self, to: Service) -> None:
        """Say that what was mended is well: what verification asks."""
        samples = [{"labels": {"__name__": "healthy"}, "at": time.time(), "value": 1}]
        self.call(to, "POST", "/v1/telemetry", json={"samples": samples})

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Of the installation's database."""
        with psycopg.connect(self.database) as connection:
            return connection.execute(query.encode()).fetchall()

    def written(self) -> Counter[str]:
        """How often each line stands in the targets' files."""
        files = (self.folder / "written").iterdir()
        return Counter(line for file in files for line in file.read_text().splitlines())
