"""PostgreSQL goes away in the midst of remediations and comes back: the workers live on, and so does their work."""

import os
import signal
import time

import psutil
import pytest

from tests.crash.judge import idle
from tests.postgresql import new_database, temporary_server

DOWN_SECONDS = 1.5
SECONDS = 120


@pytest.fixture
def server():
    """A server of this test's own, which it may break."""
    with temporary_server() as made:
        yield made


def crash(server):
    """End the server without a checkpoint: every connection breaks, and the next start recovers from its log."""
    process = psutil.Process(server.get_pid())
    os.kill(process.pid, signal.SIGQUIT)
    process.wait(30)


def reached(life, boundary):
    return any(found == boundary for _, found in life.reached)


@pytest.mark.parametrize(
    ("kind", "boundary"),
    [
        ("slow", "target/slow/executor sent"),
        ("neither", "target/neither/executor act after"),
        ("observable", "investigate/step before"),
    ],
)
def test_a_database_that_restarts_in_mid_step_delays_the_work_and_no_more(new_site, server, kind, boundary):
    site = new_site(new_database(server.get_uri()))
    life = site.start().ready()
    waiting, case = site.new("approved"), site.new(kind)
    assert site.send(waiting, life)
    assert site.until(lambda: site.incident(waiting).status == "awaiting_approval", SECONDS)
    assert site.send(case, life)
    assert site.until(lambda: reached(life, boundary), SECONDS), site.log()
    crash(server)
    time.sleep(DOWN_SECONDS)
    server.ensure_postgres_running()

    assert site.until(lambda: site.ended(case), SECONDS), site.log()
    site.speak(waiting, life)
    assert site.until(lambda: idle(site), SECONDS), site.log()
    for one in (case, waiting):
        assert site.incident(one).status == "resolved", [entry.text for entry in site.incident(one).timeline]
        assert [execution.state for execution in site.of(one)] == ["succeeded"]
        assert site.effects(one) == 1
    assert not life.dead.is_set()
    assert site.audit.verify().breaks == ()
