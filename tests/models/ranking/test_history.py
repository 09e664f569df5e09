"""What happened long ago or elsewhere counts less."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from models.domain.execution import ExecutionState, Outcome
from models.ranking.history import ELSEWHERE, HALF_LIFE, history_of

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def outcome(*, verified: bool = True, age: timedelta = timedelta(0), environment: str = "prod") -> Outcome:
    return Outcome(
        execution="EXE-1", incident="INC-1", runbook="r", action="a", uses="process/restart", environment=environment,
        state=ExecutionState.SUCCEEDED if verified else ExecutionState.FAILED, verified=verified, at=NOW - age,
    )  # fmt: skip


def test_age_halves_and_another_environment_quarters():
    found = history_of([outcome(age=HALF_LIFE), outcome(environment="staging"), outcome(verified=False)], "prod", NOW)
    assert found.successes == pytest.approx(0.5 + ELSEWHERE)
    assert found.failures == pytest.approx(1.0)
    assert (found.helped, found.ran) == (2, 3)


def test_an_outcome_of_a_clock_that_is_ahead_counts_once():
    assert history_of([outcome(age=timedelta(days=-3))], "prod", NOW).successes == 1.0
