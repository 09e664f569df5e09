"""People merge and split incidents: what becomes of signals, of what waits, and of later signals."""

from datetime import timedelta

import pytest

from models.domain.errors import BadInput, Conflict, NotFound
from models.domain.execution import ExecutionState, StepRecord
from models.domain.incident import IncidentStatus as S
from service.regrouping import Regrouping
from tests.service.api.conftest import execution


@pytest.fixture
def regrouping(parts):
    return Regrouping(parts.database, parts.incidents, parts.executions, parts.topology, parts.clock)


@pytest.fixture
def two(parts, alert):
    return [receipt.incident for receipt in parts.intake.signals([alert("orders-db"), alert("mail")])]


def send(parts, *signals):
    return [receipt.incident for receipt in parts.intake.signals(list(signals))]


def test_merged_incidents_are_one_also_for_later_signals(parts, regrouping, two, alert, clock):
    home, other = two
    merged = regrouping.merge(home, [other], "mail needs the orders", "ann")
    assert set(merged.services) == {"orders-db", "mail"}
    assert (merged.timeline[-1].kind, merged.timeline[-1].data["from"]) == ("merged", [other])
    closed = parts.incidents.get(other)
    assert (closed.status, closed.merged_into) == (S.CLOSED, home)
    assert (closed.timeline[-1].text, closed.timeline[-1].data["by"]) == (
        f"merged into {home}: mail needs the orders", "ann",
    )  # fmt: skip
    clock.tick(minutes=1)
    assert send(parts, alert("mail"), alert("mail", "Slow"), alert("orders-db")) == [home, home, home]
    assert [e.event for e in parts.audit.entries(subject=home)] == ["incident.opened", "incident.merged"]
    assert {(i, owed.split()[0]) for i, owed in parts.incidents.tickets_owed()} == {(home, "merged"), (other, "closed")}


def test_a_merge_is_taken_back_by_a_split(parts, regrouping, two, alert):
    home, other = two
    regrouping.merge(home, [other], "guess", "ann")
    left, off = regrouping.split(home, "a wrong guess", "bob", of=other)
    assert (left.services, off.services) == (("orders-db",), ("mail",))
    assert off.status is S.OPEN
    assert off.timeline[-1].text == f"split off {home}: a wrong guess"
    assert send(parts, alert("mail"), alert("orders-db")) == [off.id, home]
    again = regrouping.merge(home, [off.id], "right after all", "ann")
    assert set(again.services) == {"orders-db", "mail"}


def test_what_a_person_split_stays_apart_though_one_depends_on_the_other(parts, regrouping, alert, clock):
    [home] = set(send(parts, alert("shop"), alert("orders-db")))
    _, off = regrouping.split(home, "the shop has a fault of its own", "ann", services=["shop"])
    clock.tick(seconds=20)
    assert send(parts, alert("shop"), alert("shop", "Slow"), alert("orders-db")) == [off.id, off.id, home]
    assert parts.incidents.get(off.id).status is S.OPEN


def waiting(parts, incident, service="mail"):
    made = execution("EXE-9", incident)
    made = made.model_copy(update={"candidate": made.candidate.model_copy(update={"service": service})})
    parts.executions.add(made, f"remediate-{incident}-1")
    return made


def test_what_waits_for_a_word_is_cancelled(parts, regrouping, two):
    waiting(parts, two[1])
    regrouping.merge(two[0], [two[1]], "one cause", "ann")
    assert parts.executions.get("EXE-9").cancel.by == "ann"


def test_only_what_was_for_the_part_that_goes_is_cancelled(parts, regrouping, two):
    regrouping.merge(two[0], [two[1]], "one cause", "ann")
    waiting(parts, two[0], "orders-db")
    regrouping.split(two[0], "two causes", "ann", services=["mail"])
    assert parts.executions.get("EXE-9").cancel is None


def test_while_something_acts_nothing_is_regrouped(parts, regrouping, two):
    waiting(parts, two[1])
    step = StepRecord(name="start", state="done", at=parts.clock())
    parts.executions.transition("EXE-9", ExecutionState.RUNNING, step)
    before = parts.incidents.get(two[1])
    with pytest.raises(Conflict, match=r"EXE-9 \(Restart\) acts for .* `suture execution cancel EXE-9`"):
        regrouping.merge(two[0], [two[1]], "one cause", "ann")
    with pytest.raises(Conflict, match="acts for"):
        regrouping.split(two[1], "two causes", "ann", services=["mail"])
    assert parts.incidents.get(two[1]) == before


def test_what_cannot_be_meant_is_refused_and_changes_nothing(parts, regrouping, two, alert):
    home, other = two
    elsewhere = send(parts, alert("shop", environment="prod"))[0]
    before = [parts.incidents.get(name) for name in (home, other, elsewhere)]
    for merge, error, words in [
        (lambda: regrouping.merge(home, [home], "x", "ann"), BadInput, "name other incidents"),
        (lambda: regrouping.merge(home, ["INC-99"], "x", "ann"), NotFound, "INC-99"),
        (lambda: regrouping.merge(home, [elsewhere], "x", "ann"), Conflict, "is of prod"),
        (lambda: regrouping.merge(home, [other], "x", "ann", version=7), Conflict, "changed meanwhile"),
        (lambda: regrouping.split(home, "x", "ann", services=["mail"]), BadInput, "has no service 'mail'"),
        (lambda: regrouping.split(home, "x", "ann", services=["orders-db"]), BadInput, "would have no signals"),
        (lambda: regrouping.split(home, "x", "ann", signals=["abc"]), BadInput, "has no signal abc"),
        (lambda: regrouping.split(home, "x", "ann", of=other), BadInput, "was not merged into"),
    ]:
        with pytest.raises(error, match=words):
            merge()
    assert [parts.incidents.get(name) for name in (home, other, elsewhere)] == before


def test_what_ended_is_not_regrouped(parts, regrouping, two, clock):
    parts.incidents.transition(two[1], S.RESOLVED, "mended", actor="ann")
    clock.now += timedelta(minutes=1)
    with pytest.raises(Conflict, match="is resolved: only incidents that go on"):
        regrouping.merge(two[0], [two[1]], "x", "ann")


def test_the_next_time_it_is_one_incident_at_once_until_people_say_otherwise(parts, regrouping, two, alert, clock):
    home, other = two
    regrouping.merge(home, [other], "mail needs the orders", "ann")
    parts.incidents.transition(home, S.CLOSED, "done", actor="ann")
    clock.tick(hours=2)
    [again] = set(send(parts, alert("orders-db"), alert("mail")))
    assert again not in {home, other}
    regrouping.split(again, "not this time", "bob", services=["mail"])
    clock.tick(hours=2)
    for incident in parts.incidents.page(statuses=[S.OPEN]):
        parts.incidents.transition(incident.id, S.CLOSED, "done", actor="ann")
    assert len(set(send(parts, alert("orders-db"), alert("mail")))) == 2


def test_incidents_that_were_resolved_teach_which_signals_belong_together(parts, alert, clock):
    from models.correlation.companions import kind_of
    from service.store.companions import pairs_of

    [incident] = set(send(parts, alert("shop"), alert("orders-db")))
    parts.incidents.transition(incident, S.RESOLVED, "mended", actor="ann")
    for _ in range(3):
        parts.intake.resolve_quiet()
    with parts.database.read() as connection:
        [pair] = pairs_of(connection, {kind_of(alert("shop"))})
    assert (pair.one, pair.other, pair.together, pair.apart) == ("Down of orders-db", "Down of shop", 0.25, 0.0)
