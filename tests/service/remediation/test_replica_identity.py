"""A worker's folder and lease: one process at a time holds the folder, and works only while its lease holds."""

import subprocess
import sys
import threading
import time
from datetime import timedelta

import pytest
from sqlalchemy.exc import OperationalError

from models.domain.errors import Conflict
from service.remediation.interruption import Interruption, Stopped
from service.remediation.replica import Replica
from service.store.audit import AuditLog
from service.store.database import open_database
from service.store.replicas import Replicas

LEASE = timedelta(seconds=60)


@pytest.fixture
def database(database_url):
    database = open_database(database_url.replace("postgresql://", "postgresql+psycopg://", 1))
    yield database
    database.close()


@pytest.fixture
def replicas(database):
    from models.domain.base import utc_now

    return Replicas(database, AuditLog(database, utc_now), LEASE)


@pytest.fixture
def make(replicas, tmp_path):
    """A replica with a folder of its own by its name, and hands on its clock."""

    made = []

    def make(name):
        (tmp_path / name).mkdir(exist_ok=True)
        clock = [0.0]
        replica = Replica(tmp_path / name, replicas, LEASE, Interruption(), lambda: clock[0])
        replica.clock = clock
        made.append(replica)
        return replica

    yield make
    for replica in made:
        replica.end(finished=False)


@pytest.fixture
def silence(database):
    """Lets a replica have given its last sign of life so many seconds earlier than it did."""
    from sqlalchemy import update

    from service.store.tables import replicas as table

    def silence(replica, seconds):
        with database.write() as connection:
            earlier = update(table).where(table.c.identity == replica.identity)
            connection.execute(earlier.values(beat_at=table.c.beat_at - seconds))

    return silence


def states(replicas):
    return {one.id: (one.state, one.taken_by) for one in replicas.states()}


def test_each_start_has_an_identity_of_its_own_and_the_folder_is_known_again(make):
    first, second, other = make("one"), make("one"), make("other")
    assert len({first.identity, second.identity, other.identity}) == 3
    assert first.home == second.home != other.home


def test_a_second_worker_on_the_same_folder_is_refused_until_the_first_is_gone(make, tmp_path):
    mine = make("one")
    code = (
        "import sys; file = open(sys.argv[1], 'a'); import fcntl; fcntl.flock(file, fcntl.LOCK_EX); "
        "print('held', flush=True); sys.stdin.read()"
    )
    lock = tmp_path / "one" / "worker.lock"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(Conflict, match="another worker runs on"):
            mine.claim()
        other.kill()
        other.wait()
        mine.claim()
        mine.end(finished=False)


def test_the_next_start_on_a_folder_takes_over_at_once(make, replicas):
    former, other, now = make("one"), make("other"), make("one")
    for replica in (former, other, now):
        replica.begin("3")
    assert states(replicas) == {
        former.identity: ("taken over", now.identity), other.identity: ("alive", None), now.identity: ("alive", None),
    }  # fmt: skip
    with pytest.raises(Stopped):
        former.beat()
    assert former.lost


def test_only_the_silent_are_taken_over_and_by_one(make, replicas, silence):
    one, other, dead = make("one"), make("other"), make("dead")
    for replica in (one, other, dead):
        replica.begin("3")
    assert not one.take_over()
    silence(dead, 59)
    assert not one.take_over()
    silence(dead, 2)
    assert states(replicas)[dead.identity] == ("silent", None)
    assert one.take_over()
    assert not other.take_over()
    assert states(replicas)[dead.identity] == ("taken over", one.identity)
    assert replicas.working() == {one.identity, other.identity}


def test_many_that_see_a_silent_one_at_once_are_one_taker(make, replicas, silence):
    dead, takers = make("dead"), [make(f"taker-{number}") for number in range(6)]
    for replica in (dead, *takers):
        replica.begin("3")
    silence(dead, 61)
    together, won = threading.Barrier(6), []

    def take(replica):
        together.wait()
        if replica.take_over():
            won.append(replica.identity)

    threads = [threading.Thread(target=take, args=(replica,)) for replica in takers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert states(replicas)[dead.identity] == ("taken over", won[0])


def test_one_that_ended_in_order_is_taken_over_at_once(make, replicas):
    one, other = make("one"), make("other")
    for replica in (one, other):
        replica.claim()
        replica.begin("3")
    one.end(finished=True)
    assert states(replicas)[one.identity] == ("left", one.identity)
    assert other.take_over()
    other.end(finished=False)
    assert states(replicas)[other.identity] == ("alive", None), "an act of it goes on: its lease must run out"


def test_one_that_was_taken_over_begins_nothing_more(make, silence):
    paused, other = make("paused"), make("other")
    for replica in (paused, other):
        replica.begin("3")
    told = []
    paused.when_lost(lambda: told.append(True))
    paused.hold()
    silence(paused, 61)
    other.take_over()
    paused.hold()  # it cannot know yet
    paused.clock[0] = 50.0  # its lease but one sign of life
    for forbidden in (paused.hold, paused.renew, paused.hold):
        with pytest.raises(Stopped):
            forbidden()
    assert told == [True]


def test_an_act_is_refused_at_once_where_the_database_says_so(make, silence):
    """Also where no clock of the machine ran on, as after a pause of a virtual machine."""
    paused, other = make("paused"), make("other")
    for replica in (paused, other):
        replica.begin("3")
    silence(paused, 61)
    other.take_over()
    with pytest.raises(Stopped):
        paused.renew()


def test_nothing_begins_while_the_database_is_away_for_longer_than_the_lease(make, replicas, monkeypatch):
    replica = make("one")
    replica.begin("3")
    beat, away = replicas.beat, threading.Event()

    def flaky(identity):
        if not away.is_set():
            raise OperationalError("UPDATE", {}, Exception("connection refused"))
        return beat(identity)

    monkeypatch.setattr(replicas, "beat", flaky)
    replica.hold()
    replica.clock[0] = 100.0
    went_on = threading.Event()
    waiting = threading.Thread(target=lambda: (replica.hold(), went_on.set()))
    waiting.start()
    assert not went_on.wait(0.7)
    away.set()
    assert went_on.wait(10), "nobody has taken over: it goes on with a new lease"
    waiting.join()


def test_after_an_outage_of_the_database_the_others_get_time_to_give_a_sign(make, silence):
    one, other = make("one"), make("other")
    for replica in (one, other):
        replica.begin("3")
    silence(one, 100)
    silence(other, 100)
    one.clock[0] = 100.0
    one.beat()
    assert not one.take_over()
    one.clock[0] = 140.0
    assert one.take_over()


def test_a_version_is_run_by_those_that_are_alive_and_by_one_that_is_being_restarted(make, replicas, silence):
    old, new = make("old"), make("new")
    for replica, version in ((old, "2"), (new, "3")):
        replica.claim()
        replica.begin(version)
    assert replicas.versions(new.identity, new.home) == {"2", "3"}
    old.end(finished=True)
    new.take_over()
    assert replicas.versions(new.identity, new.home) == {"2", "3"}
    silence(old, 61)
    assert replicas.versions(new.identity, new.home) == {"3"}
    new.end(finished=False)
    again = make("new")
    again.begin("4")
    assert replicas.versions(again.identity, again.home) == {"4"}, "on this folder nothing older runs any more"


def test_the_clock_of_the_database_counts(make, replicas):
    replica = make("one")
    replica.begin("3")
    time.sleep(0.05)
    [state] = replicas.states()
    assert 0.04 < state.beat_seconds_ago < 30


def test_right_before_an_effect_the_clock_tells_and_the_database_only_where_it_cannot(make, replicas, silence):
    paused, other = make("paused"), make("other")
    for replica in (paused, other):
        replica.begin("3")
    silence(paused, 61)
    assert other.take_over()
    paused.clock[0] = 49.0  # its lease holds by its own clock
    paused.confirm()
    paused.clock[0] = 51.0
    with pytest.raises(Stopped):
        paused.confirm()
    assert paused.lost
