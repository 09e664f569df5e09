"""Both databases under several writers, after a lost connection, and from their first tables on."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from models.domain.base import utc_now
from models.domain.errors import BadInput, Unavailable
from service.store.audit import AuditLog
from service.store.database import open_database
from service.store.keys import Keys, Role
from service.store.state import DetectorStates, KillSwitch
from service.store.tables import metadata


@pytest.fixture
def database(database_url, make_settings):
    database = open_database(make_settings(database_url=database_url).database)
    yield database
    database.close()


@pytest.fixture
def log(database):
    return AuditLog(database, utc_now)


def at_once(*jobs):
    with ThreadPoolExecutor(len(jobs)) as pool:
        return [job.result() for job in [pool.submit(job) for job in jobs]]


def test_the_audit_log_holds_while_others_write_to_it(database, log):
    def write():
        for number in range(15):
            with database.write() as connection:
                log.append(connection, "test.event", f"INC-{number}", {"number": number})

    def verify():
        return [log.verify().breaks for _ in range(15)]

    *_, found = at_once(write, write, verify)
    assert set(found) == {()}
    assert log.verify().entries == 30


def test_words_of_any_kind_stand_in_the_audit_log_and_it_still_holds(database, log):
    with database.write() as connection:
        log.append(connection, "test.event", "s\x00" * 500, {"words": "a\x00b \ud7ff"}, "actor\x00" * 100)
    [entry] = log.entries()
    assert (len(entry.actor), len(entry.subject), entry.data["words"]) == (200, 300, "a\x00b \ud7ff")
    assert log.verify().breaks == ()


def test_people_turn_the_kill_switch_at_the_same_time(database, log):
    switch = KillSwitch(database, log)
    at_once(*[lambda on=on: switch.turn(on, "ann") for on in (True, False) * 4])
    switch.turn(True, "bob")
    assert switch.is_on()
    assert log.entries(limit=100)[-1].actor == "bob"


def test_detectors_save_at_the_same_time(database):
    states = DetectorStates(database, utc_now)
    at_once(*[lambda number=number: states.save("lockstep", bytes([number])) for number in range(8)])
    assert len(states.load("lockstep")) == 1


def test_one_view_of_everything_while_others_write(database, log):
    keys = Keys(database, log, utc_now)
    count = text("SELECT count(*) FROM api_keys")
    with database.read() as connection:
        before = connection.execute(count).scalar()
        at_once(lambda: keys.create("ann", Role.VIEWER, "me"))
        assert connection.execute(count).scalar() == before
    assert len(keys.all()) == 1


def test_readings_of_one_view_are_of_one_instant_and_others_are_not_held_up(database, log):
    switch = KillSwitch(database, log)
    with database.one_view():
        assert not switch.is_on()
        at_once(lambda: switch.turn(True, "ann"))
        assert not switch.is_on(), "one view"
        assert at_once(switch.is_on) == [True], "of this thread only"
    assert switch.is_on()


def test_replicas_that_start_together_take_turns(database_url, make_settings):
    url = make_settings(database_url=database_url).database
    for opened in at_once(*[lambda: open_database(url)] * 4):
        opened.close()


def test_the_migrations_make_the_tables_of_the_code(database):
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        changes = compare_metadata(context, metadata)
    ours = [change for change in changes if "remove_table" not in str(change)]
    assert ours == []


def test_a_connection_that_the_server_ended_is_replaced(new_postgres_database, make_settings):
    database = open_database(make_settings(database_url=new_postgres_database()).database)
    log = AuditLog(database, utc_now)
    with database.write() as connection:
        log.append(connection, "test.event", "INC-1", {})
    with database.read() as one, database.read() as other:
        assert one.execute(text("SELECT 1")).scalar() == other.execute(text("SELECT 1")).scalar()
    others = "pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with database.engine.connect() as connection:
        assert connection.execute(text(f"SELECT pg_terminate_backend(pid) FROM {others}")).all()
    at_once(log.verify, log.verify, log.verify)
    database.close()


@pytest.mark.parametrize(
    ("url", "error", "words"),
    [
        ("postgresql+psycopg://nobody:secret@127.0.0.1:1/x", Unavailable, "cannot be opened"),
        ("mysql://x", BadInput, "mysql is not supported"),
        ("no url", BadInput, "cannot be read"),
    ],
)
def test_a_database_that_cannot_be_used_is_one_clear_line(url, error, words):
    with pytest.raises(error, match=words) as raised:
        open_database(url)
    assert "secret" not in str(raised.value)
