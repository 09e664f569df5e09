from datetime import UTC, datetime, timedelta

import pytest

from models.domain.execution import ExecutionState, Outcome

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def test_a_report_is_json_unless_markdown_is_asked_for(api, opened, waiting):
    identifier = opened().id
    waiting("EXE-1", identifier)
    path = f"/v1/incidents/{identifier}/report"
    made = api("GET", path).json()
    [episode] = made["episodes"]
    assert [attempt["execution"] for attempt in episode["attempts"]] == ["EXE-1"]
    assert episode["times"]["resolve"] is None
    text = api("GET", path, headers={"Accept": "text/markdown"})
    assert text.headers["content-type"] == "text/markdown; charset=utf-8"
    assert text.text.startswith(f"# {identifier}: shop is down\n")


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "application/json"), ("application/json, text/markdown;q=0.5", "application/json"),
        ("text/markdown;q=0", "application/json"), ("text/markdown;q=nonsense", "application/json"),
        ("text/html, text/markdown;q=0.9", "text/markdown"),
    ],
)  # fmt: skip
def test_what_accept_says_is_followed(api, opened, accept, kind):
    answer = api("GET", f"/v1/incidents/{opened().id}/report", headers={"Accept": accept})
    assert answer.headers["content-type"].startswith(kind)


def test_the_report_on_nothing(api):
    assert api("GET", "/v1/incidents/INC-99/report").status_code == 404


def test_outcomes_by_action_and_environment(api):
    def ran(number, state, environment="prod"):
        api.parts.executions.add_outcome(
            Outcome(
                execution=f"EXE-{number}", incident="INC-1", runbook="shop-down", action="restart",
                environment=environment, uses="process/restart", state=state,
                verified=state is ExecutionState.SUCCEEDED,
                at=NOW + timedelta(minutes=number),
            )
        )  # fmt: skip

    ran(1, ExecutionState.SUCCEEDED)
    ran(2, ExecutionState.SUCCEEDED)
    ran(3, ExecutionState.ROLLED_BACK)
    ran(4, ExecutionState.UNCERTAIN)
    ran(5, ExecutionState.FAILED, "staging")
    prod, staging = api("GET", "/v1/outcomes").json()["items"]
    assert [prod[name] for name in ("runs", "verified", "failed", "rolled_back", "uncertain")] == [4, 2, 0, 1, 1]
    assert prod["lower_bound"] == pytest.approx(0.0976, abs=0.0001)
    assert prod["last_at"] == "2026-01-31T12:04:00Z"
    assert (staging["failed"], staging["lower_bound"]) == (1, 0.0)
    assert api("GET", "/v1/outcomes?environment=staging").json()["items"] == [staging]
    assert api("GET", "/v1/outcomes?runbook=another").json()["items"] == []
