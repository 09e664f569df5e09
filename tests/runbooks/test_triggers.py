"""Triggers over signals: asked once for signals that are alike in what they read."""

import pytest

from models.domain.runbook import Runbook
from models.domain.signal import Signal
from runbooks.expressions import fields_read
from runbooks.triggers import matching


def signal(**changes):
    return Signal.model_validate(
        {"kind": "alert", "name": "Down", "at": "2026-01-01T00:00:00Z", "labels": {"service": "shop"}} | changes
    )


@pytest.mark.parametrize(
    ("source", "fields"),
    [
        ('signal.kind == "alert" && signal["name"] == "x"', ("kind", "name")),
        ("has(signal.metric) && signal.labels.job == signal.labels.instance", ("labels", "metric")),
        ('signal.name == "signal.text"', ("name",)),
        ("[signal].exists(s, s.value > 1.0)", None),
        ("size(signal) > 2", None),
        ('signal.name == "signal"', None),  # more careful than it must be
    ],
)
def test_which_fields_a_trigger_reads(source, fields):
    assert fields_read(source, "signal") == fields


@pytest.mark.parametrize(
    ("trigger", "yes", "no"),
    [
        ('signal.name == "Down"', {}, {"name": "Up"}),
        ('signal.labels.service == "shop"', {}, {"labels": {"service": "mail"}}),
        ('has(signal.metric) && signal.metric == "up"', {"metric": "up"}, {}),
        ("signal.value > 1.0", {"value": 2.0}, {"value": 1.0}),
        ('signal.text.contains("disk")', {"text": "disk full"}, {"text": "all well"}),
        ('[signal].exists(s, s.severity == "critical")', {"severity": "critical"}, {"severity": "warning"}),
    ],
)
def test_signals_that_differ_in_what_a_trigger_reads_are_told_apart(trigger, yes, no):
    runbook = Runbook.model_construct(id="r", triggers=(trigger,))
    for changes, expected in ((yes, True), (no, False)) * 2:
        assert bool(matching([runbook], [signal(**changes)])) is expected
