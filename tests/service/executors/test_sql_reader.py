"""`sql` checks: the reader that the executor offers, asked by `service.checks`, on a real PostgreSQL."""

import math
from datetime import UTC, datetime

import pytest

from models.domain.errors import BadInput, Unavailable
from models.domain.runbook import Check
from service.checks import measure
from tests.service.executors.sql_server import serve

AT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def server(new_postgres_database):
    yield from serve(new_postgres_database())


def read(server, name: str) -> list:
    return server.executor().sql_reader.read(name, AT)


def test_the_numeric_column_is_the_value_and_the_others_are_labels(server):
    assert [(sample.labels, sample.value, sample.at) for sample in read(server, "orders/stuck")] == [
        ({"queue": "q0"}, 5.0, AT),
        ({"queue": "q1"}, 5.0, AT),
    ]
    (sample,) = read(server, "orders/null")
    assert sample.labels == {}
    assert math.isnan(sample.value)
    assert [sample.value for sample in read(server, "plain/elsewhere")] == [1.0]


def test_a_check_is_measured_by_it(server):
    def asked(name: str, condition: str):
        check = Check(sql=name, condition=condition)
        return measure(check, source=None, clock=lambda: AT, sql=server.executor().sql_reader)

    bad = asked("orders/stuck", "== 0")
    assert (bad.passed, bad.values, bad.detail) == (False, (5.0, 5.0), '5 for {queue="q0"}; 2 of 2 fail')
    server.execute("UPDATE jobs SET state = 'ready' WHERE queue = 'q1'")
    assert asked("orders/stuck", "== 5").passed is True
    assert asked("orders/null", "!= 7").passed is False
    assert asked("orders/nothing", "== 0").passed is None


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("orders/nothing", "statement nothing is not allowed on orders"),
        ("elsewhere/stuck", "no database 'elsewhere'"),
        ("stuck", "no database 'stuck'"),
        ("orders/elsewhere", "is not allowed on orders"),
        ("orders/count-one", "is a write"),
        ("orders/above", "parameter least is missing"),
        ("orders/many", "more than 3 rows"),
        ("orders/no-number", "0 numeric columns"),
    ],
)
def test_what_cannot_be_asked_says_why(server, name, words):
    with pytest.raises(BadInput, match=words):
        read(server, name)


def test_it_changes_nothing(server):
    with pytest.raises(Unavailable, match="read-only transaction"):
        read(server, "orders/sneaky-read")
    assert server.execute("SELECT count(*) FROM jobs") == [(10,)]


def test_a_slow_answer_and_a_lost_server_are_no_answer(server):
    reader = server.executor().sql_reader
    with pytest.raises(Unavailable, match="statement timeout"):
        reader.read("orders/sleepy", AT, 0.3)
    server.relay.frozen.set()
    with pytest.raises(Unavailable, match="relayed cannot be reached"):
        reader.read("relayed/stuck", AT, 0.3)
