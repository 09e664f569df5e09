"""Two real replicas on one PostgreSQL, of which one is killed again and again: `python -m tests.crash.replicas`.

Incidents come in through the REST API while one replica is killed with SIGKILL at random instants and started again,
now on its own folder and now on a new one, as on another machine. What counts is what the targets themselves wrote
down: each is a program that holds a lock while it works, and writes a line at its start and at its end.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from evals.bench.figures import machine
from tests.crash.replica_site import Plan, Service, Site
from tests.postgresql import new_database, temporary_server

_AT_ONCE = 60
"""Incidents that are not ended yet; the next ones come in as these end."""
_ENDED = ("resolved", "escalated", "closed")


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


def main() -> None:
    """Run it, print a line for each figure; exit 1 where a promise was broken."""
    usual = Plan()
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("--incidents", type=int, default=usual.incidents)
    reader.add_argument("--targets", type=int, default=usual.targets)
    reader.add_argument("--seed", type=int, default=usual.seed)
    reader.add_argument("--keep", type=Path, help="folder for logs and what the targets wrote; must not exist")
    given = reader.parse_args()
    with tempfile.TemporaryDirectory(prefix="suture-replicas-") as scratch, temporary_server() as server:
        folder = given.keep or Path(scratch) / "site"
        folder.mkdir()
        site = Site(folder, new_database(server.get_uri()), Plan(given.incidents, given.targets, given.seed))
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
