"""Impact raises the severity, is told, and never lowers it."""

import pytest

from models.correlation import raised_by
from models.domain.base import Severity
from models.domain.incident import Impact


@pytest.mark.parametrize(
    ("impact", "severity"),
    [
        ({}, None),
        ({"failing_share": 0.009}, None),
        ({"failing_share": 0.01}, Severity.WARNING),
        ({"failing_share": 0.05}, Severity.CRITICAL),
        ({"budget_burned": 0.02}, Severity.WARNING),
        ({"budget_burned": 0.05, "failing_share": 0.0}, Severity.CRITICAL),
        ({"downstream": tuple(map(str, range(5)))}, Severity.WARNING),
        ({"downstream": tuple(map(str, range(20)))}, Severity.CRITICAL),
    ],
)
def test_what_an_impact_makes_of_the_severity(impact, severity):
    raised = raised_by(Impact(**impact))
    assert (raised and raised[0]) == severity


@pytest.fixture
def share(parts, monkeypatch):
    """The share of requests that fail from now on."""

    def fails(value):
        monkeypatch.setattr(type(parts.pipeline), "failing_share", lambda _: value)

    return fails


def test_it_is_raised_told_and_never_lowered(parts, alert, clock, share):
    def send(severity):
        signal = alert("mail").model_copy(update={"severity": severity})
        return parts.incidents.get(parts.intake.signals([signal])[0].incident)

    share(0.0)
    incident = send(Severity.WARNING)
    assert incident.severity is Severity.WARNING
    share(0.2)
    clock.tick(seconds=20)
    raised = send(Severity.WARNING)
    assert raised.severity is Severity.CRITICAL
    assert (raised.timeline[-1].kind, raised.timeline[-1].text) == (
        "severity", "raised from warning to critical: 20.0% of requests fail",
    )  # fmt: skip
    share(0.0)
    clock.tick(seconds=20)
    after = send(Severity.WARNING)
    assert (after.severity, len(after.timeline)) == (Severity.CRITICAL, len(raised.timeline))
    assert after.impact.failing_share == 0.0


def test_an_incident_that_opens_with_a_large_impact_says_so(parts, alert, share):
    share(0.5)
    signal = alert("mail").model_copy(update={"severity": Severity.WARNING})
    incident = parts.incidents.get(parts.intake.signals([signal])[0].incident)
    assert incident.severity is Severity.CRITICAL
    assert "severity" in [entry.kind for entry in incident.timeline]


def test_an_error_budget_that_burns_raises_it(parts, alert, share):
    from dataclasses import replace

    share(None)
    asked = []

    def burned(services, since):
        asked.append((services, since))
        return {"checkout": 0.31, "search": 0.01}

    pipeline = replace(parts.pipeline, burned=burned)
    signal = alert("orders-db").model_copy(update={"severity": Severity.WARNING})
    incident = pipeline.correlate([signal], [], [], _memory()).opened[0]
    assessed = pipeline.assess(incident, None)
    assert (assessed.severity, assessed.impact.budget_burned) == (Severity.CRITICAL, 0.31)
    assert "31.0% of the error budget of checkout burned" in assessed.impact.summary
    assert asked[0][0] == ("orders-db", "shop"), "also of those that depend on it"


def _memory():
    from models.correlation import Memory

    return Memory()
