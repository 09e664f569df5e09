"""Each runbook of the library against an incident as an installation would have it, one line a runbook."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import pytest

from models.domain.signal import Signal
from runbooks import LIBRARY
from runbooks.binding import bind
from runbooks.loader import load_corpus
from runbooks.triggers import matches, signal_variables
from service.contract import read_incident

NOW = datetime(2026, 3, 1, 12, 5, tzinfo=UTC)
RECORDED = [json.loads(line) for line in Path(__file__).with_name("library_incidents.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def library():
    return load_corpus([LIBRARY])


def bound(library, catalogue, recorded):
    """What the incident's own runbook offers for it."""
    runbooks = [one for one in library.runbooks if one.id == recorded["gold"]["runbook"]]
    told = {name: value for name, value in recorded.items() if name not in ("id", "gold")}
    return bind(runbooks, read_incident(json.dumps(told), where=recorded["id"], now=NOW), catalogue)


def test_there_is_one_incident_for_each_runbook(library):
    assert sorted(one["gold"]["runbook"] for one in RECORDED) == sorted(one.id for one in library.runbooks)


@pytest.mark.parametrize("recorded", RECORDED, ids=[one["gold"]["runbook"] for one in RECORDED])
def test_it_is_spoken_for_and_everything_that_it_offers_is_bound(library, catalogue, recorded):
    name = recorded["gold"]["runbook"]
    (runbook,) = [one for one in library.runbooks if one.id == name]
    binding = bound(library, catalogue, recorded)
    assert name in {match.runbook for match in binding.matched}
    assert binding.dropped == ()
    assert [one.action for one in binding.candidates] == [one.id for one in runbook.actions]
    assert len(binding.diagnoses) == len(runbook.diagnose), binding.gaps


def test_labels_from_outside_cannot_name_anything_else(library, catalogue):
    """An argument is what a label says or nothing: no second object, no path, no option, no flag of a program."""
    hostile = ("*", "a b", "../x", "-x", "a,b", "a;b", "x\n", '"', "{{ 1 }}", "")
    for recorded in RECORDED:
        for value in hostile:
            labels = dict.fromkeys(recorded["labels"], value)
            told = recorded | {"labels": labels}
            told["signals"] = [
                one | {"labels": {"service": recorded["services"][0]} | labels} for one in told["signals"]
            ]
            offered = bound(library, catalogue, told).candidates
            values = chain.from_iterable(one.parameters.values() for one in offered)
            assert value not in [one for one in values if isinstance(one, str)], (recorded["id"], value)


def alert(name):
    return Signal(kind="alert", name=name, at=NOW, labels={}, severity="warning")


def names_in(library):
    """Every alert that some trigger of the library names."""
    texts = chain.from_iterable(one.triggers for one in library.runbooks)
    return sorted({name for text in texts for name in re.findall(r'"([A-Z][A-Za-z]+)"', text)})


def test_runbooks_for_one_alert_are_told_apart_by_what_they_ask(library):
    """Of runbooks that an alert speaks for alike, each asks something that none of the others asks."""
    shared = 0
    for name in names_in(library):
        told = signal_variables(alert(name))
        speaking = [one for one in library.runbooks if any(matches(trigger, told) for trigger in one.triggers)]
        for runbook in speaking:
            others = {
                (check.subject, check.condition) for one in speaking if one is not runbook for check in one.diagnose
            }
            own = [check for check in runbook.diagnose if (check.subject, check.condition) not in others]
            shared += len(speaking) > 1
            assert own, f"{name}: {runbook.id} asks nothing of its own beside {[one.id for one in speaking]}"
    assert shared > 50


def test_a_cause_can_be_ruled_out(library):
    """A runbook that nothing refutes stays a suspect whatever is measured; those that predate this are named."""
    never = {one.id for one in library.runbooks if not any(check.refutes for check in one.diagnose)}
    assert never == {"dependency-errors", "dependency-timeout"}


HARSH = ("kubernetes/drain", "kubernetes/delete-pod")


def test_what_destroys_waits_for_a_person(library):
    harsh = [
        (runbook.id, action)
        for runbook in library.runbooks
        for action in runbook.actions
        if action.uses in HARSH
        or (action.uses == "kubernetes/scale" and action.arguments["replicas"] == 0)
        or "drop" in action.arguments.get("statement", "")
    ]
    assert len(harsh) >= 6
    assert [(name, action.id) for name, action in harsh if (action.risk, action.approval) != ("high", "always")] == []
