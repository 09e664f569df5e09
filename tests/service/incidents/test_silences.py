"""Silences, from both databases' point of view: what they hold back, what they let through, and when they end."""

from datetime import timedelta

import pytest

from models.domain.errors import BadInput, Conflict, NotFound
from models.domain.incident import IncidentStatus as S
from service.matchers import matchers


@pytest.fixture
def silence(parts, clock):
    def silence(*texts, minutes=60, starts_at=None):
        return parts.silences.add(
            matchers=matchers(texts), starts_at=starts_at, ends_at=clock() + timedelta(minutes=minutes),
            reason="known", actor="ann",
        )  # fmt: skip

    return silence


def send(parts, *signals):
    return [receipt.incident for receipt in parts.intake.signals(list(signals))]


def test_what_fits_opens_nothing_is_counted_and_seen(parts, silence, alert):
    made = silence('service="mail"', 'alertname=~"D.*"')
    receipts = parts.intake.signals([alert("mail"), alert("mail", pod="2"), alert("mail", "Slow"), alert("shop")])
    assert [receipt.incident for receipt in receipts][:2] == [None, None]
    assert f"{made.id} silences it" in receipts[0].note
    assert {i.services for i in parts.incidents.page()} == {("mail",), ("shop",)}
    send(parts, alert("mail"))
    held = parts.silences.get(made.id)
    assert held.count == 3
    assert [(one.name, one.service, one.count) for one in held.signals] == [("Down", "mail", 2), ("Down", "mail", 1)]


def test_once_it_is_over_what_still_fires_opens(parts, silence, alert, clock):
    silence("service=mail", minutes=10)
    assert send(parts, alert("mail")) == [None]
    clock.tick(minutes=10)
    assert send(parts, alert("mail")) != [None]


def test_a_planned_one_waits_for_its_time_and_can_be_ended(parts, silence, alert, clock):
    planned = silence("service=mail", starts_at=clock() + timedelta(minutes=2))
    [incident] = send(parts, alert("mail"))
    assert incident is not None
    clock.tick(minutes=3)
    assert send(parts, alert("mail", "Slow")) == [None]
    ended = parts.silences.end(planned.id, "bob")
    assert (ended.ended_by, ended.count) == ("bob", 1)
    assert send(parts, alert("mail", "Slow")) == [incident]
    with pytest.raises(Conflict, match="is over already"):
        parts.silences.end(planned.id, "bob")
    assert [entry.event for entry in parts.audit.entries(subject=planned.id)] == ["silence.added", "silence.ended"]


def test_an_incident_that_goes_on_still_hears_that_its_alert_is_over(parts, silence, alert):
    [incident] = send(parts, alert("mail"))
    parts.incidents.transition(incident, S.ESCALATED, "nobody knows")
    silence("service=mail")
    assert send(parts, alert("mail", status="resolved")) == [incident]
    assert parts.intake.resolve_quiet() == [incident]
    assert send(parts, alert("mail")) == [None], "what is silenced reopens nothing"


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["shop"], "is no matcher"),
        (['service="shop'], "quotes"),
        (["service=~("], "not a regular expression"),
        (["service=~.*"], "would fit every signal"),
        (["service!=shop"], "would fit every signal"),
        ([], "at least one matcher"),
    ],
)
def test_matchers_that_cannot_be_meant_are_refused(texts, words):
    with pytest.raises(BadInput, match=words):
        matchers(texts)


def test_a_silence_without_time_is_refused(silence, parts):
    with pytest.raises(BadInput, match="ended already"):
        silence("service=mail", minutes=-1)
    assert parts.silences.all() == []
    with pytest.raises(NotFound, match="no silence SIL-9"):
        parts.silences.get("SIL-9")
