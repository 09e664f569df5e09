"""Replicas on one PostgreSQL that are killed or paused: another one continues, and no target is acted on twice."""

import signal
import time

import pytest

from tests.crash.replica_site import Plan, Site
from tests.crash.replicas import run

WAIT_SECONDS = 90.0
"""A machine with other work needs many times what an idle one does."""


@pytest.fixture
def site_of(tmp_path, new_postgres_database):
    """Makes an installation, whose replicas end with the test."""
    made = []

    def make(**changes):
        folder = tmp_path / "site"
        folder.mkdir()
        made.append(Site(folder, new_postgres_database(), Plan(**changes)))
        return made[-1]

    yield make
    for site in made:
        site.end()


def until(look, words):
    ends = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < ends:
        if found := look():
            return found
        time.sleep(0.1)
    raise AssertionError(words)


def begun(site):
    """How many programs have begun."""
    return sum(line.startswith("start ") for line in site.written())


def statuses(site):
    return {status for (status,) in site.rows("SELECT DISTINCT status FROM incidents")}


def done_once(site):
    """Wait until all is resolved; each target wrote down one start for each execution, and never two at once."""
    until(lambda: statuses(site) == {"resolved"}, f"not resolved: {site.rows('SELECT number, status FROM incidents')}")
    lines = site.written()
    executions = [one for (one,) in site.rows("SELECT id FROM executions WHERE state = 'succeeded'")]
    assert {line: count for line, count in lines.items() if not line.startswith("end ")} == {
        f"start {one}:act": 1 for one in executions
    }
    return executions


def test_twenty_incidents_while_one_replica_is_killed_again_and_again(site_of):
    site = site_of(incidents=20, targets=5, seed=7, lives=(0.3, 2.0), lease_seconds=3.0)
    result = run(site)
    assert result.held, vars(result)
    assert (result.resolved, result.handed_over) == (20, 0)
    assert result.kills > 0
    # Both replicas raced for each of them.
    assert site.rows("SELECT count(*) FROM dbos.workflow_status WHERE name = 'remediate'") == [(20,)]
    assert site.rows("SELECT count(*) FROM audit WHERE event = 'execution.decided'") == [(20,)]


def test_one_that_was_paused_for_longer_than_its_lease_does_nothing_more(site_of):
    site = site_of(incidents=4, targets=4, lease_seconds=3.0, act_seconds=0.5)
    paused = site.serve("paused").ready()
    site.healthy(paused)
    site.alert(paused, range(4))
    until(lambda: begun(site), "no act began")
    paused.kill(signal.SIGSTOP)
    other = site.serve("other").ready()
    site.healthy(other)
    executions = done_once(site)
    assert len(executions) == 4
    written = site.written()
    paused.kill(signal.SIGCONT)
    assert paused.wait(WAIT_SECONDS) == 1
    assert "another replica has taken over; start this one again" in (site.folder / "log").read_text()
    assert site.written() == written
    assert done_once(site) == executions


def test_what_a_taker_that_dies_too_took_is_continued_by_the_next(site_of):
    site = site_of(incidents=6, targets=6, lease_seconds=3.0, act_seconds=1.0)
    first, *others = [site.serve(name) for name in ("first", "second", "third")]
    for service in (first, *others):
        service.ready()
    site.healthy(first)
    site.alert(first, range(6))
    until(lambda: begun(site), "no act began")
    first.kill()
    [(taker,)] = until(
        lambda: site.rows("SELECT t.home FROM replicas r JOIN replicas t ON t.identity = r.taken_by"), "not taken over"
    )
    homes = {(service.state / "replica-id").read_text().strip(): service for service in others}
    homes[taker].kill()
    [last] = [service for service in others if service is not homes[taker]]
    site.healthy(last)
    assert len(done_once(site)) == 6
