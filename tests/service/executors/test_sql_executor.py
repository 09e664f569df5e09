"""`sql/run`, bad settings and targets; on a real PostgreSQL, lost connections through a relay."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg
import pytest

from models.domain.base import utc_now
from models.domain.errors import BadInput
from service.executors.sql import SqlExecutor
from service.ports import Context, Effect, ExecutorError
from tests.service.executors.sql_server import STATEMENTS, call, serve, until
from tests.service.taken_over import TakenOver, refused


@pytest.fixture
def server(new_postgres_database):
    yield from serve(new_postgres_database())


def run(statement: str, *, key: str = "exec-1:act", database: str = "orders", timeout: float = 20, **parameters):
    return call("run", key=key, timeout=timeout, database=database, statement=statement, parameters=parameters)


def fails(executor: SqlExecutor, one, words: str) -> ExecutorError:
    with pytest.raises(ExecutorError, match=words) as caught:
        executor.act(one)
    return caught.value


def states(server) -> dict[str, int]:
    return dict(server.execute("SELECT state, count(*) FROM jobs GROUP BY state"))


class TestWrite:
    def test_is_committed_with_its_journal_entry(self, server):
        outputs = server.executor().act(run("retry-jobs", queue="q1"))
        assert outputs == {"rows": 5, "returned": (), "truncated": False, "repeated": False}
        assert states(server) == {"ready": 5, "stuck": 5}
        assert server.execute("SELECT key, rows FROM suture_acts") == [("exec-1:act", 5)]

    def test_a_second_time_does_nothing_and_says_so(self, server):
        executor = server.executor()
        executor.act(run("count-one"))
        assert executor.act(run("count-one"))["repeated"] is True
        assert executor.act(run("count-one", key="exec-2:act"))["repeated"] is False
        assert server.execute("SELECT count(*) FROM history") == [(2,)]

    def test_of_a_worker_that_was_paused_until_another_took_over_is_rolled_back(self, server):
        with pytest.raises(TakenOver):
            server.executor().act(replace(run("count-one"), confirm=refused))
        assert server.execute("SELECT count(*) FROM history") == [(0,)]

    def test_attempts_at_the_same_time_happen_once(self, server):
        executor = server.executor()
        with ThreadPoolExecutor(6) as pool:
            outputs = list(pool.map(lambda _: executor.act(run("count-one")), range(6)))
        assert sorted(one["repeated"] for one in outputs) == [False] + [True] * 5
        assert server.execute("SELECT count(*) FROM history") == [(1,)]

    def test_that_touches_more_rows_than_allowed_is_rolled_back(self, server):
        server.execute("UPDATE jobs SET queue = 'q1' WHERE id = 2")
        error = fails(server.executor(), run("retry-jobs", queue="q1"), "touched 6 rows, and 5 are allowed")
        assert (error.effect, error.retriable) == (Effect.ABSENT, False)
        assert states(server) == {"stuck": 10}
        assert server.executor().observe(run("retry-jobs", queue="q1")) is Effect.ABSENT

    def test_rows_that_triggers_touch_count_too(self, server):
        fails(server.executor(), run("retry-jobs", queue="q1", state="noted"), "touched 15 rows")
        assert server.execute("SELECT count(*) FROM history") == [(0,)]

    def test_a_value_is_data_whatever_it_holds(self, server):
        outputs = server.executor().act(run("retry-jobs", queue="'; DROP TABLE jobs; --"))
        assert outputs["rows"] == 0
        assert states(server) == {"stuck": 10}

    def test_two_commands_in_one_statement_are_refused_by_the_server(self, server):
        error = fails(server.executor(), run("two-in-one"), "multiple commands")
        assert error.effect is Effect.ABSENT
        assert states(server) == {"stuck": 10}

    def test_what_commit_refuses_did_not_happen(self, server):
        error = fails(server.executor(), run("orphan"), "violates foreign key")
        assert (error.effect, error.retriable) == (Effect.ABSENT, False)
        assert "DETAIL" not in str(error)

    def test_a_lock_that_is_not_to_be_had_is_worth_a_retry(self, server):
        blocker = server.session(server.role)
        blocker.execute("LOCK TABLE history")
        error = fails(server.executor(), run("count-one", timeout=1), "lock timeout")
        assert (error.effect, error.retriable) == (Effect.ABSENT, True)
        blocker.rollback()
        assert server.executor().act(run("count-one"))["rows"] == 1

    def test_a_statement_that_takes_too_long_is_ended_by_the_server(self, server):
        error = fails(server.executor(), run("slow", timeout=0.5), "statement timeout")
        assert (error.effect, error.retriable) == (Effect.ABSENT, False)
        assert server.executor().observe(run("slow")) is Effect.ABSENT

    def test_a_person_who_cancels_ends_it_in_the_server(self, server):
        asked = threading.Event()
        one = replace(run("slow"), cancelled=asked.is_set)
        threading.Timer(0.3, asked.set).start()
        assert fails(server.executor(), one, "cancelled by a person").effect is Effect.ABSENT
        activity = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'suture %'"
        until(lambda: server.execute(activity) == [(0,)])


class TestLostConnection:
    def test_with_the_answer_to_commit_it_is_not_known_and_the_journal_knows(self, server):
        executor, one = server.executor(), run("count-one", database="relayed")
        server.relay.lose_commit = "answer"
        error = fails(executor, one, "relayed: ")
        assert (error.effect, error.retriable) == (Effect.UNKNOWN, True)
        assert executor.observe(one) is Effect.HAPPENED
        assert executor.act(one)["repeated"] is True
        assert server.execute("SELECT count(*) FROM history") == [(1,)]

    def test_before_commit_arrived_the_journal_says_that_it_did_not_happen(self, server):
        executor, one = server.executor(), run("count-one", database="relayed")
        server.relay.lose_commit = "request"
        assert fails(executor, one, "relayed: ").effect is Effect.UNKNOWN
        assert executor.observe(one) is Effect.ABSENT
        assert executor.act(one)["repeated"] is False
        assert server.execute("SELECT count(*) FROM history") == [(1,)]

    def test_without_a_journal_nobody_can_tell(self, server):
        executor, one = server.executor(), run("count-one", database="relayed-plain")
        server.relay.lose_commit = "answer"
        assert fails(executor, one, "relayed-plain: ").effect is Effect.UNKNOWN
        assert executor.observe(one) is Effect.UNKNOWN
        assert executor.observe(run("same-again", database="plain")) is Effect.REPEATABLE
        assert executor.observe(run("stuck", database="plain")) is Effect.ABSENT

    def test_a_backend_that_is_killed_in_the_middle_did_nothing(self, server):
        executor = server.executor()
        kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND pid <> "
        with ThreadPoolExecutor(1) as pool:
            attempt = pool.submit(executor.act, run("slow"))
            until(lambda: (True,) in server.execute(kill + "pg_backend_pid()"))
            error = attempt.exception()
        assert isinstance(error, ExecutorError)
        assert (error.effect, error.retriable) == (Effect.ABSENT, True)

    def test_a_network_that_falls_silent_ends_in_time(self, server):
        executor = server.executor()
        with ThreadPoolExecutor(1) as pool:
            attempt = pool.submit(executor.act, run("slow", database="relayed", timeout=2))
            query = "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%sleep(30)' AND state = 'active'"
            until(lambda: server.execute(query))
            server.relay.frozen.set()
            error = attempt.exception(timeout=20)
        assert isinstance(error, ExecutorError)
        assert "no answer in time" in str(error)
        assert error.effect is Effect.ABSENT

    def test_an_attempt_that_is_still_at_work_is_not_taken_for_absent(self, server):
        executor = server.executor()
        other = server.session(server.role)
        other.execute("INSERT INTO suture_acts VALUES ('exec-1:act', now(), 1)")
        assert executor.observe(run("count-one", timeout=0.5)) is Effect.UNKNOWN
        threading.Timer(0.6, other.commit).start()
        # Cancelled by a person meanwhile: the question is asked to its end.
        assert executor.observe(replace(run("count-one"), cancelled=lambda: True)) is Effect.HAPPENED

    def test_a_server_that_is_not_there_is_worth_a_retry(self, server):
        error = fails(server.executor(port=1, host="127.0.0.1"), run("count-one"), "orders cannot be reached")
        assert (error.effect, error.retriable) == (Effect.ABSENT, True)
        error = fails(server.executor(database="nowhere"), run("count-one"), "does not exist")
        assert error.effect is Effect.ABSENT
        assert server.executor(database="nowhere").observe(run("count-one")) is Effect.UNKNOWN


class TestRead:
    def test_rows_come_back_as_json_up_to_the_limit(self, server):
        outputs = server.executor().act(run("above", least=6))
        assert outputs["truncated"] is True
        assert [(row["id"], row["weight"]) for row in outputs["returned"]] == [(7, 7.0), (8, 8.0), (9, 9.0)]
        assert isinstance(outputs["returned"][0]["at"], str)
        assert server.execute("SELECT count(*) FROM suture_acts") == [(0,)]

    def test_cannot_write_by_a_function(self, server):
        fails(server.executor(), run("sneaky-read"), "read-only transaction")
        assert states(server) == {"stuck": 10}


class TestDryRun:
    def test_shows_the_plan_and_executes_nothing(self, server):
        executor = server.executor()
        words = executor.dry_run(run("retry-jobs", queue="q1"))
        assert words.startswith("would run retry-jobs (write) on orders; its plan:\nUpdate on jobs")
        assert "Seq Scan" in executor.dry_run(run("above", least=1.5))
        assert "history" in executor.dry_run(run("slow", timeout=5))  # else it would take 30 s
        assert states(server) == {"stuck": 10}
        assert server.execute("SELECT count(*) FROM suture_acts") == [(0,)]

    def test_finds_a_missing_journal_and_a_missing_right(self, server):
        with pytest.raises(ExecutorError, match='relation "nothing" does not exist'):
            server.executor(journal="nothing").dry_run(run("count-one"))
        server.execute("REVOKE UPDATE ON jobs FROM PUBLIC")
        with pytest.raises(ExecutorError, match="permission denied"):
            server.executor().dry_run(run("retry-jobs", queue="q1"))


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (run("drop-all"), "statement drop-all is not allowed"),
        (run("elsewhere"), "statement elsewhere is not allowed on orders"),
        (run("count-one", database="other"), "no database 'other' is configured"),
        (run("retry-jobs"), "parameter queue is missing"),
        (run("retry-jobs", queue="q1\nx"), "parameter queue does not match its pattern"),
        (run("retry-jobs", queue=1), "parameter queue is not of type string"),
        (run("retry-jobs", queue="q1", state="gone"), "parameter state is none of its enum"),
        (run("retry-jobs", queue="q1", limit=5), "there is no parameter limit"),
        (run("above", least=-1), "parameter least is below"),
        (run("above", least=float("nan")), "parameter least is below"),
        (run("above", least=True), "parameter least is not of type number"),
        (call("vacuum"), "there is no sql/vacuum"),
    ],
)
def test_what_is_not_allowed_is_refused_before_anything_is_sent(one, words, postgres_url):
    plain = {"host": "127.0.0.1", "port": 1, "database": "d", "user": "u"}  # nobody listens there
    executor = SqlExecutor.build(
        {"databases": {"orders": plain, "plain": plain}, "statements": STATEMENTS},
        Context(clock=utc_now, secret=lambda reference: reference),
    )
    assert fails(executor, one, words).effect is Effect.ABSENT
    for refusing in (executor.dry_run, executor.snapshot):
        with pytest.raises(ExecutorError, match=words):
            refusing(one)


def test_one_target_a_statement_and_one_a_database():
    assert SqlExecutor.target("run", run("stuck").arguments) == "sql:orders/stuck"
    ended = {"database": "orders", "longer_than": "5m"}
    assert SqlExecutor.target("terminate-idle", ended) == SqlExecutor.target("cancel-long", ended) == "sql:orders"


READ = {"sql": "SELECT 1", "kind": "read"}
WRITE = {"sql": "DELETE FROM jobs", "kind": "write"}


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ({**READ, "sql": "DROP TABLE jobs"}, "must begin with one of SELECT"),
        ({**WRITE, "sql": "COMMIT", "max_rows_affected": 1}, "must begin with one of INSERT"),
        (WRITE, "max_rows_affected is needed"),
        ({**READ, "max_rows_affected": 1}, "only there"),
        ({**READ, "sql": "SELECT '%'"}, "single %"),
        ({**READ, "sql": "SELECT %s"}, "single %"),
        ({**READ, "sql": "SELECT %(x)s"}, "do not name the same: x"),
        ({**READ, "parameters": {"x": {"type": "integer"}}}, "do not name the same: x"),
        ({**READ, "sql": "SELECT %(x)s", "parameters": {"x": {}}}, "a string needs a pattern"),
        ({**READ, "sql": "SELECT %(x)s", "parameters": {"x": {"pattern": "("}}}, "not a regular expression"),
        (
            {**READ, "sql": "SELECT %(x)s", "parameters": {"x": {"type": "integer", "default": 0, "minimum": 1}}},
            "default is below",
        ),
        ({**READ, "databases": ["other"]}, "names 'other', which is not configured"),
    ],
)
def test_a_wrong_statement_stops_the_start(statement, words):
    section = {
        "databases": {"orders": {"host": "h", "database": "d", "user": "u"}},
        "statements": {"one": statement},
    }
    with pytest.raises(BadInput, match=words):
        SqlExecutor.build(section, Context(clock=utc_now, secret=str))


@pytest.mark.parametrize(
    ("database", "words"),
    [
        ({"host": "h user=root"}, "host"),
        ({"journal": 'acts"; DROP TABLE jobs'}, "journal"),
        ({"ca": "/nonexistent"}, "not a file"),
        ({"sslmode": "allow"}, "sslmode"),
        ({"password": "env:MISSING"}, "password: not set"),
    ],
)
def test_a_wrong_database_stops_the_start(database, words):
    def secret(reference: str) -> str:
        raise BadInput("not set")

    section = {"databases": {"orders": {"host": "h", "database": "d", "user": "u"} | database}}
    with pytest.raises(BadInput, match=words):
        SqlExecutor.build(section, Context(clock=utc_now, secret=secret))


def test_a_password_is_resolved_at_use_and_is_in_no_error(server):
    given = ["first", "s3cret-words"]
    executor = SqlExecutor.build(
        server.config(host="127.0.0.1", port=server.relay.port, user="nobody", password="env:PASSWORD"),
        Context(clock=utc_now, secret=lambda _: given[-1]),
    )
    error = fails(executor, run("count-one"), "nobody")
    assert "s3cret-words" not in str(error) + repr(executor.__dict__)

    def gone(reference: str) -> str:
        raise BadInput("PASSWORD is not set")

    executor = SqlExecutor(executor._config, gone)
    assert fails(executor, run("count-one"), "PASSWORD is not set").effect is Effect.ABSENT


def test_the_services_own_password_variable_is_not_sent(server, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "of-another")
    sent, connect = [], psycopg.connect

    def watched(*args, **more):
        connection = connect(*args, **more)
        sent.append(connection.info.password)
        return connection

    monkeypatch.setattr(psycopg, "connect", watched)
    server.executor().act(run("count-one"))
    assert sent == [""]


def test_plain_text_is_never_spoken_where_tls_is_asked_for(server):
    one = server.executor(host="127.0.0.1", port=server.relay.port, sslmode="verify-full")
    assert fails(one, run("count-one"), "SSL").effect is Effect.ABSENT
    with psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT count(*) FROM history").fetchone() == (0,)
