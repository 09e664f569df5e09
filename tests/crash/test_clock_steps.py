"""The machine's clock is set forward or back in mid-remediation.

Times of people (how long an approval is waited for, how long a yes holds) are by the wall clock, which all replicas
share: a clock that jumps forward ends them early. Then nothing is done and a person has the incident, with the reason;
a clock that is set back never lets a word hold that was not given. Times of acts are by a clock that nobody sets.
"""

import pytest

from tests.crash.judge import idle

DAY, HOUR = 86_400, 3_600
SECONDS = 120


def finished(site, case):
    """Wait for the end of everything; the incident with its one execution."""
    assert site.until(lambda: idle(site), SECONDS), site.log()
    [execution] = site.of(case)
    return site.incident(case), execution


@pytest.fixture
def waiting(new_site):
    """A site, its worker, and a case that waits for its approval."""
    site = new_site()
    life = site.start().ready()
    case = site.new("approved")
    assert site.send(case, life)
    assert site.until(lambda: site.incident(case).status == "awaiting_approval", SECONDS), site.log()
    return site, life, case


def test_a_day_forward_in_an_approval_wait_hands_over_and_acts_on_nothing(waiting):
    site, life, case = waiting
    life.ask("shift", case.name, seconds=DAY)
    incident, execution = finished(site, case)
    assert (incident.status, execution.state) == ("escalated", "cancelled")
    assert "nobody decided" in incident.timeline[-1].text
    assert site.effects(case) == 0


def test_a_yes_that_a_clock_step_overtakes_is_told_of_and_not_lost_silently(waiting):
    site, life, case = waiting
    life.kill()
    life = site.start(at={case.name: "word/commit Executions.add_approval after"}).ready()
    site.speak(case, life)  # stored, and killed before the acknowledgement and before the worker looked
    assert life.wait_dead(SECONDS)
    site.start(shift=DAY)
    incident, execution = finished(site, case)
    assert (incident.status, execution.state) == ("escalated", "cancelled")
    assert "ann" in incident.timeline[-1].text
    assert site.effects(case) == 0


def test_an_hour_back_in_an_approval_wait_the_yes_still_counts(waiting):
    site, life, case = waiting
    life.ask("shift", case.name, seconds=-HOUR)
    site.speak(case, life)
    incident, execution = finished(site, case)
    assert (incident.status, execution.state) == ("resolved", "succeeded")
    assert site.effects(case) == 1


@pytest.mark.parametrize("seconds", [DAY, -HOUR])
@pytest.mark.parametrize("step", ["act-1", "verify-1"])
def test_a_clock_step_over_a_crash_neither_hangs_nor_repeats(new_site, seconds, step):
    site = new_site()
    case = site.new("slow")
    boundary = "target/slow/executor sent" if step == "act-1" else f"{step}/step before"
    life = site.start(at={case.name: boundary}).ready()
    assert site.send(case, life)
    assert life.wait_dead(SECONDS)
    site.start(shift=seconds)
    incident, execution = finished(site, case)
    assert (incident.status, execution.state) == ("resolved", "succeeded")
    assert site.effects(case) == 1
