"""Several worker processes race for the same targets: counted in the database and in what they wrote as they acted."""

import json
import subprocess
import sys
import time
from collections import defaultdict
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import select

from models.domain.base import utc_now
from models.domain.execution import Decision, Execution, Mode, Verdict
from models.domain.recommendation import Candidate
from service.store.audit import AuditLog
from service.store.database import open_database
from service.store.executions import Executions
from service.store.state import KillSwitch
from service.store.tables import executions as table

WORKER = Path(__file__).parent / "racing_worker.py"
SERVICES, TARGETS = 4, 6
SECONDS = 90
"""A worker gives up after this; it ends far earlier."""
FREE = {"rates": [], "blast_radius": {"share": None}}


class Race:
    """An installation's database, with executions that wait to be claimed."""

    def __init__(self, url, folder, processes, count):
        self.url, self.folder, self.processes = url, folder, processes
        self.database = open_database(url)
        self.audit = AuditLog(self.database, utc_now)
        self.log = folder / "acts"
        self.identifiers = [f"EXE-{number}-1-1" for number in range(count)]
        stored = Executions(self.database, self.audit, utc_now)
        for number, identifier in enumerate(self.identifiers):
            # Those of one target follow each other, so that all processes want the same one at the same time.
            target = number * SERVICES * TARGETS // count
            service = f"service-{target % SERVICES}"
            stored.add(execution(identifier, service, f"{service}/{target // SERVICES}"), "workflow-1")

    def start(self, limits):
        """The worker processes, each with its own share of the executions and all of the targets."""
        instances = {f"service-{s}": {"instances": [f"service-{s}/{t}" for t in range(TARGETS)]} for s in range(4)}
        running = []
        for number in range(self.processes):
            told = self.folder / f"worker-{number}.json"
            mine = {
                "url": self.url, "limits": limits, "topology": {"services": instances}, "log": str(self.log),
                "executions": self.identifiers[number :: self.processes], "seconds": SECONDS,
            }  # fmt: skip
            told.write_text(json.dumps(mine))
            running.append(subprocess.Popen([sys.executable, str(WORKER), str(told)], cwd=Path(__file__).parents[3]))
        return running

    def lines(self, *kinds):
        found = [line.split(" ", 2) for line in self.log.read_text().splitlines()] if self.log.exists() else []
        return [line for line in found if line[0] in kinds]

    def started(self):
        """(started_at, service, target) of every execution that ever ran, in order."""
        query = select(table.c.started_at, table.c.service, table.c.target).where(table.c.started_at.is_not(None))
        with self.database.read() as connection:
            rows = connection.execute(query.order_by(table.c.started_at)).all()
        return [(datetime.fromisoformat(at), service, target) for at, service, target in rows]

    def told(self):
        """The audit log: (event, subject), in the order of the commits."""
        return [(entry.event, entry.subject) for entry in self.audit.entries(limit=100_000)]


def execution(identifier, service, target):
    candidate = Candidate(
        incident="INC-1", environment="prod", service=service, runbook="fix", action="restart", title="Restart",
        uses="process/restart", arguments={"name": target}, target=target, parameters={"of": identifier}, risk="low",
        reversible=True, approval="policy", timeout=timedelta(seconds=5), preconditions=(), verify=(), rollback=None,
    )  # fmt: skip
    decision = Decision(
        candidate_hash=candidate.hash, verdict=Verdict.PERMIT, mode=Mode.AUTO, reason="test", decided_at=utc_now()
    )
    return Execution(
        id=identifier, incident="INC-1", candidate=candidate, probability=0.9, decision=decision, created_at=utc_now()
    )


def finish(workers):
    codes = [worker.wait(SECONDS + 20) for worker in workers]
    assert codes == [0] * len(workers)


@pytest.fixture(params=[("postgresql", 3, 240), ("sqlite", 2, 96)], ids=["postgresql", "sqlite"])
def race(request, tmp_path, new_postgres_database):
    kind, processes, count = request.param
    url = f"sqlite:///{tmp_path / 'suture.db'}" if kind == "sqlite" else new_postgres_database()
    one = Race(url.replace("postgresql://", "postgresql+psycopg://", 1), tmp_path, processes, count)
    yield one
    one.database.close()


def never_two_at_once(race):
    """By the order in which the processes wrote, and by the order of the audit log."""
    acting = {}
    for kind, identifier, target in race.lines("begin", "end"):
        if kind == "begin":
            assert target not in acting, f"{identifier} began on {target} during {acting.get(target)}"
            acting[target] = identifier
        else:
            assert acting.pop(target) == identifier
    targets = {identifier: target for _, identifier, target in race.lines("begin", "stopped")}
    active = set()
    for event, subject in race.told():
        if event == "execution.running":
            assert targets[subject] not in active
            active.add(targets[subject])
        elif event in ("execution.succeeded", "execution.failed"):
            active.remove(targets[subject])


def test_no_limit_is_exceeded_by_processes_that_race(race):
    count, per, of_one = 15, timedelta(milliseconds=500), timedelta(milliseconds=300)
    limits = {
        "rates": [{"count": count, "per": "500ms"}, {"count": 1, "per": "300ms", "scope": "target"}],
        "blast_radius": {"share": 0.5, "per": "1h"},
    }
    finish(race.start(limits))
    never_two_at_once(race)
    started = race.started()
    times = [at for at, _, _ in started]
    assert all(later - first >= per for first, later in zip(times, times[count:], strict=False))
    by_target, of_service = defaultdict(list), defaultdict(set)
    for at, service, target in started:
        by_target[target].append(at)
        of_service[service].add(target)
    for at in by_target.values():
        assert all(later - first >= of_one for first, later in pairwise(at))
    assert {len(targets) for targets in of_service.values()} == {TARGETS // 2}
    begun = race.lines("begin")
    assert len(begun) == len(started) == len(race.identifiers) // 2, "half of the targets are beyond the blast radius"
    assert {target for *_, target in begun} == set(by_target)
    said = " ".join(reason for *_, reason in race.lines("held"))
    assert "within 300ms, and 1 may; the next one from" in said, "the rate was reached"
    assert "within 1h, and 3 may be; the next one from" in said, "the blast radius was reached"
    assert race.lines("conflict") == []


def test_nothing_starts_after_the_kill_switch(race):
    workers = race.start(FREE)
    ends = time.monotonic() + SECONDS
    while len(race.lines("begin")) < len(race.identifiers) // 6 and time.monotonic() < ends:
        time.sleep(0.01)
    KillSwitch(race.database, race.audit).turn(True, "ann")
    finish(workers)
    told = race.told()
    turned = told.index(("kill-switch.on", "kill-switch"))
    running = [place for place, (event, _) in enumerate(told) if event == "execution.running"]
    assert running
    assert max(running) < turned
    begun = {identifier for _, identifier, _ in race.lines("begin")}
    # Started before the switch and stopped by it at the last moment before the act.
    stopped = {identifier for _, identifier, _ in race.lines("stopped")}
    assert begun | stopped == {told[place][1] for place in running}
    acts = [place for place, (event, subject) in enumerate(told) if event == "execution.step" and subject in begun]
    assert len(acts) == len(begun)
    assert max(acts) < turned
    held = {identifier for _, identifier, reason in race.lines("held") if reason == "the kill switch is on"}
    assert held
    assert begun | stopped | held == set(race.identifiers)
    assert not begun & (held | stopped)
    assert not stopped & held
    never_two_at_once(race)
