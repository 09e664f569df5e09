import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from models.domain.base import Severity
from models.domain.errors import BadInput, NotFound
from service.itsm.embedded import EmbeddedTicketing, TicketStatus, build
from service.ports import Context, TicketDraft, TicketingError
from service.store.database import Database

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DRAFT = TicketDraft("INC-7", "shop is down", "**3** services", Severity.CRITICAL, {"service": "shop"})


class Ticks:
    """A clock that moves on by a second at each look."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    database = Database(database_url)
    yield database.engine
    database.close()


def make(engine: Engine) -> EmbeddedTicketing:
    return build({}, Context(clock=Ticks(), secret=str, database=engine))


def test_a_ticket_s_life(engine):
    tickets = make(engine)
    reference = tickets.open(DRAFT, "INC-7-open")
    assert reference == "TCK-1"
    tickets.comment(reference, "restarted `shop`", "act")
    tickets.close(reference, "healthy again", "close")
    ticket = tickets.get_ticket(reference)
    assert (ticket.title, ticket.body, ticket.incident) == ("shop is down", "**3** services", "INC-7")
    assert (ticket.severity, ticket.labels) == (Severity.CRITICAL, {"service": "shop"})
    assert (ticket.status, ticket.resolution) == (TicketStatus.CLOSED, "healthy again")
    assert [(entry.kind, entry.text) for entry in ticket.comments] == [
        ("comment", "restarted `shop`"),
        ("resolution", "healthy again"),
    ]
    assert NOW < ticket.opened_at < ticket.comments[0].at < ticket.closed_at


def test_a_repeated_call_changes_nothing(engine):
    tickets = make(engine)
    first = [tickets.open(DRAFT, key) for key in ("a", "a", "b", "a")]
    assert first == ["TCK-1", "TCK-1", first[2], "TCK-1"]
    assert first[2] != "TCK-1"
    for _ in range(3):
        tickets.comment("TCK-1", "once", "c")
        tickets.close("TCK-1", "done", "d")
    before = tickets.get_ticket("TCK-1")
    assert len(before.comments) == 2
    again = make(engine)  # a restart
    again.close("TCK-1", "other words, same key", "d")
    assert again.open(DRAFT, "a") == "TCK-1"
    assert again.get_ticket("TCK-1") == before


def test_a_closed_ticket_takes_comments_and_a_later_resolution(engine):
    tickets = make(engine)
    reference = tickets.open(DRAFT, "k")
    tickets.close(reference, "first", "close-1")
    tickets.comment(reference, "it came back", "c")
    assert tickets.get_ticket(reference).status is TicketStatus.CLOSED
    tickets.close(reference, "second", "close-2")
    ticket = tickets.get_ticket(reference)
    assert ticket.resolution == "second"
    assert [entry.text for entry in ticket.comments] == ["first", "it came back", "second"]


@pytest.mark.parametrize("reference", ["TCK-99", "OPS-1", "", "TCK-1 OR 1=1", "TCK-1e400", "TCK-" + "9" * 40])
def test_a_ticket_that_is_not_there_is_no_reason_to_try_again(engine, reference):
    tickets = make(engine)
    for act in (tickets.comment, tickets.close):
        with pytest.raises(TicketingError, match="there is no ticket") as caught:
            act(reference, "text", "k")
        assert not caught.value.retriable
    with pytest.raises(NotFound):
        tickets.get_ticket(reference)


def test_lists_are_newest_first_by_page_and_filter(engine):
    tickets = make(engine)
    made = [tickets.open(TicketDraft(f"INC-{n}", "t", "b", Severity.INFO), f"k{n}") for n in range(5)]
    tickets.close(made[1], "done", "c")
    assert [ticket.reference for ticket in tickets.list_tickets(limit=2)] == [made[4], made[3]]
    assert [ticket.reference for ticket in tickets.list_tickets(before=made[3])] == [made[2], made[1], made[0]]
    assert [ticket.reference for ticket in tickets.list_tickets(status=TicketStatus.CLOSED)] == [made[1]]
    assert [ticket.reference for ticket in tickets.list_tickets(incident="INC-2")] == [made[2]]


def test_several_writers_at_once_neither_fail_nor_double(engine):
    failures: list[Exception] = []

    def work() -> None:
        try:
            tickets = make(engine)
            for n in range(10):
                reference = tickets.open(DRAFT, f"k{n}")
                tickets.comment(reference, "text", "c")
                tickets.close(reference, "done", "d")
        except Exception as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    tickets = make(engine)
    assert len(tickets.list_tickets()) == 10
    assert all(len(tickets.get_ticket(ticket.reference).comments) == 2 for ticket in tickets.list_tickets())


def test_a_database_that_fails_is_a_reason_to_try_again(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/suture.db")
    tickets = make(database.engine)
    with database.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE tickets")
    with pytest.raises(TicketingError, match="database failed: no such table") as caught:
        tickets.open(DRAFT, "k")
    assert caught.value.retriable
    database.close()


def test_wrong_settings_name_their_key(tmp_path):
    with pytest.raises(BadInput, match=r"ticketing\.config: project: there is no such key"):
        build({"project": "x"}, Context(clock=Ticks(), secret=str))
    with pytest.raises(BadInput, match="needs the installation's database"):
        build({}, Context(clock=Ticks(), secret=str))
