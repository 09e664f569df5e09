"""`sql/terminate-idle` and `sql/cancel-long`, on real sessions of a real PostgreSQL."""

import threading
from dataclasses import replace

import psycopg
import pytest

from service.executors.sql import SqlExecutor
from service.ports import Effect, ExecutorError
from tests.service.executors.sql_server import Server, call, serve, until


@pytest.fixture
def server(new_postgres_database):
    yield from serve(new_postgres_database())


@pytest.fixture
def app(server) -> str:
    return server.new_role()


def executor_for(server: Server, *users: str, **sessions) -> SqlExecutor:
    allowed = {"users": list(users), "databases": [server.name]} | sessions
    return server.executor(sessions=allowed)


def idle(server: Server, role: str, application: str = "shop") -> psycopg.Connection:
    """A session that sits in a transaction."""
    made = server.session(role, application)
    made.execute("SELECT 1")
    return made


def lives(connection: psycopg.Connection) -> bool:
    try:
        connection.execute("SELECT 1")
    except psycopg.OperationalError:
        return False
    return True


def ended(server: Server, **arguments):
    return call("terminate-idle", **({"longer_than": "1s"} | arguments))


def cancel(**arguments):
    return call("cancel-long", **({"longer_than": "1s"} | arguments))


def wait_until_old(server: Server, connections: int) -> None:
    """Until so many sessions of the test's database are in their state for more than a second."""
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND backend_type = 'client backend' AND state_change < clock_timestamp() - interval '1.05s'"
    )
    until(lambda: server.execute(query)[0][0] >= connections)


class TestTerminate:
    def test_ends_what_is_idle_in_a_transaction_and_nothing_else(self, server, app):
        other, root = server.new_role(), server.new_role("SUPERUSER")
        replica = server.new_role("REPLICATION")
        goner = idle(server, app)
        spared = [
            idle(server, other),  # not among those that may be touched
            idle(server, root),
            idle(server, replica),
            idle(server, server.role),  # the executor's own role
            idle(server, app, "payroll"),  # another application
            server.session(app, autocommit=True),  # idle, in no transaction
        ]
        spared[-1].execute("SELECT 1")
        wait_until_old(server, 7)
        executor = executor_for(server, app, root, replica, server.role)
        one = ended(server, application="shop")
        words = executor.dry_run(one)
        assert words.startswith(
            f"would end the session of {app}@{server.name} (shop), pid {goner.info.backend_pid}, idle"
        )
        assert words.count("pid") == 1
        outputs = executor.act(one)
        assert (outputs["ended"], outputs["left"]) == (1, 0)
        assert not lives(goner)
        assert all(lives(connection) for connection in spared)
        assert "nothing to do" in executor.dry_run(one)

    def test_filters_by_user_and_database_and_takes_plain_idle_when_asked(self, server, app):
        plain = server.session(app, autocommit=True)
        plain.execute("SELECT 1")
        waiting = idle(server, app)
        wait_until_old(server, 2)
        executor = executor_for(server, "*")
        assert "nothing to do" in executor.dry_run(ended(server, user="nobody"))
        assert "nothing to do" in executor.dry_run(ended(server, in_database="postgres"))
        elsewhere = executor_for(server, "*", databases=["other-*"])
        assert "nothing to do" in elsewhere.dry_run(ended(server))
        assert executor.act(ended(server, user=app, in_database=server.name, state="idle"))["ended"] == 1
        assert not lives(plain)
        assert lives(waiting)

    def test_takes_the_longest_ones_and_no_more_than_the_most(self, server, app):
        made = [idle(server, app) for _ in range(4)]
        wait_until_old(server, 4)
        executor = executor_for(server, app, max=2)
        assert "2 more match, above the most at once" in executor.dry_run(ended(server, max=3))
        outputs = executor.act(ended(server, max=3))
        assert (outputs["ended"], outputs["left"]) == (2, 2)
        assert [lives(connection) for connection in made] == [False, False, True, True]

    def test_ends_only_those_of_the_snapshot_that_are_still_as_they_were(self, server, app):
        goner, awake = idle(server, app), idle(server, app)
        wait_until_old(server, 2)
        executor, one = executor_for(server, app), ended(server)
        one = replace(one, before=executor.snapshot(one))
        assert executor.observe(one) is Effect.ABSENT
        awake.execute("SELECT 1")  # it did something meanwhile: idle anew
        late = idle(server, app)
        wait_until_old(server, 3)
        assert executor.act(one)["ended"] == 1
        assert [lives(connection) for connection in (goner, awake, late)] == [False, True, True]
        # As after a crash between the act and its record: it happened, and again does no more.
        assert executor.observe(one) is Effect.HAPPENED
        assert executor.act(one)["ended"] == 0
        assert lives(awake)

    def test_without_a_snapshot_or_without_an_answer_nothing_is_known(self, server, app):
        assert executor_for(server, app).observe(ended(server)) is Effect.UNKNOWN
        nowhere = server.executor(port=1, host="127.0.0.1", sessions={"users": ["*"]})
        assert nowhere.observe(replace(ended(server), before={"sessions": []})) is Effect.UNKNOWN

    def test_a_connection_that_is_lost_after_the_signal_says_nothing(self, server, app):
        goner = idle(server, app)
        wait_until_old(server, 1)
        sessions = {"users": [app], "databases": [server.name]}
        executor = server.executor(host="127.0.0.1", port=server.relay.port, sessions=sessions)
        direct = executor_for(server, app)
        one = replace(ended(server, timeout=1), before=direct.snapshot(ended(server)))
        server.relay.freeze_after = b"pg_terminate_backend"
        with pytest.raises(ExecutorError, match="no answer in time") as caught:
            executor.act(one)
        assert caught.value.effect is Effect.UNKNOWN
        assert direct.observe(one) is Effect.HAPPENED
        assert not lives(goner)


class TestCancel:
    def test_cancels_the_query_and_leaves_the_session(self, server, app):
        long, short = server.session(app), server.session(app)
        failed: list[psycopg.Error] = []

        def work() -> None:
            try:
                long.execute("SELECT pg_sleep(60)")
            except psycopg.Error as error:
                failed.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        short.execute("SELECT 1")
        wait_until_old(server, 2)
        executor, one = executor_for(server, app), cancel()
        one = replace(one, before=executor.snapshot(one))
        assert "would cancel the query of" in executor.dry_run(one)
        assert executor.observe(one) is Effect.ABSENT
        assert executor.act(one)["ended"] == 1
        thread.join(10)
        assert isinstance(failed[0], psycopg.errors.QueryCanceled)
        long.rollback()
        assert lives(long)
        assert lives(short)
        assert executor.observe(one) is Effect.HAPPENED


class TestRefusals:
    def test_a_role_that_sees_or_signals_nobody_is_told_what_to_grant(self, server, app):
        server.execute(f"REVOKE pg_read_all_stats FROM {server.role}")
        with pytest.raises(ExecutorError, match="lacks pg_read_all_stats; GRANT it") as caught:
            executor_for(server, app).act(ended(server))
        assert caught.value.effect is Effect.ABSENT

    def test_sessions_that_the_settings_do_not_name_are_refused(self, server):
        with pytest.raises(ExecutorError, match=r"set executors\.sql\.databases\.orders\.sessions") as caught:
            server.executor().act(ended(server))
        assert caught.value.effect is Effect.ABSENT

    @pytest.mark.parametrize(
        "wrong",
        [{"longer_than": "0s"}, {"longer_than": "5"}, {"max": 0}, {"user": "a\nb"}, {"state": "active"}, {"pid": 1}],
    )
    def test_bad_input(self, server, wrong):
        with pytest.raises(ExecutorError, match="arguments do not fit"):
            executor_for(server, "*").act(ended(server, **wrong))


def test_sessions_that_do_not_end_in_time_are_not_taken_for_ended(server, app, monkeypatch):
    # A session whose signal gets lost cannot be made: the signalling function is replaced by one that does nothing.
    import service.executors.sql_sessions as sessions

    idle(server, app)
    wait_until_old(server, 1)
    deaf = replace(sessions._KINDS["terminate-idle"], signal="pg_sleep(0) IS NULL OR 0 <")
    monkeypatch.setitem(sessions._KINDS, "terminate-idle", deaf)
    with pytest.raises(ExecutorError, match="1 of 1 sessions did not end in time") as caught:
        executor_for(server, app).act(ended(server, timeout=1))
    assert caught.value.effect is Effect.UNKNOWN
