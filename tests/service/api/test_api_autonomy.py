"""Levels by REST: who may read, who may set, and what people did."""

import pytest

from models.domain.execution import ExecutionState, Outcome
from models.domain.recommendation import RankedCandidate, Recommendation
from service.security.roles import Role
from tests.service.api.conftest import NOW, execution

PATH = "/v1/autonomy/service-down/restart"


@pytest.fixture
def known(api, opened):
    """One verified execution, and one recommendation that nothing was done about."""
    incident = opened()
    outcome = Outcome(
        execution="EXE-9", incident=incident.id, runbook="service-down", action="restart", uses="process/restart",
        environment="sandbox", state=ExecutionState.SUCCEEDED, verified=True, at=NOW,
    )  # fmt: skip
    with api.parts.database.write() as connection:
        api.parts.levels.learn(connection, outcome, None)
    ranked = RankedCandidate(
        candidate=execution("EXE-1", incident.id).candidate, probability=0.7, justification="", citations=()
    )
    api.parts.recommendations.add(
        Recommendation(
            id=f"REC-{incident.id.removeprefix('INC-')}-1", incident=incident.id, created_at=NOW, candidates=(ranked,)
        )
    )
    return incident


def test_a_level_is_shown_with_its_evidence_and_what_is_missing(api, known):
    viewer = api.as_role(Role.VIEWER)
    shown = api.client.get(PATH, params={"environment": "sandbox"}, headers=viewer).json()
    assert (shown["level"], shown["effective"], shown["following"]) == ("approve", "approve", "auto")
    assert (shown["verified"], shown["trials"]) == (1, 1)
    assert shown["missing"] == "a mode of 'sandbox' above approve, and 19 more verified successes in a row"
    assert api.client.get("/v1/autonomy", headers=viewer).json() == {"items": [shown]}
    assert api("GET", "/v1/autonomy", params={"environment": "prod"}).json() == {"items": []}


def test_an_admin_sets_a_level_and_nobody_else_does(api, known):
    body = {"environment": "sandbox", "level": "suggest", "reason": "a new release"}
    assert api.client.put(PATH, json=body, headers=api.as_role(Role.APPROVER)).status_code == 403
    answer = api.client.put(PATH, json=body, headers=api.as_role(Role.ADMIN, "ada"))
    assert (answer.status_code, answer.json()["level"], answer.json()["by"]) == (200, "suggest", "key:ada")
    assert api("PUT", PATH, json=body).status_code == 409
    entry = api.parts.audit.entries(limit=1000)[-1]
    assert (entry.event, entry.actor, entry.data["reason"]) == ("autonomy.set", "key:ada", "a new release")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"environment": "sandbox", "level": "auto", "reason": "x"}, 422),
        ({"environment": "sandbox", "level": "king", "reason": "x"}, 422),
        ({"environment": "sandbox", "level": "observe"}, 422),
        ({"environment": "prod", "level": "observe", "reason": "x"}, 404),
    ],
)
def test_what_cannot_be_set(api, known, body, status):
    assert api("PUT", PATH, json=body).status_code == status


def test_a_person_says_what_they_did_once(api, known):
    path = f"/v1/incidents/{known.id}/action-taken"
    body = {"action": "service-down/restart", "comment": "by hand"}
    assert api.client.post(path, json=body, headers=api.as_role(Role.SENDER)).status_code == 403
    answer = api.client.post(path, json=body, headers=api.as_role(Role.APPROVER, "bob"))
    assert (answer.status_code, answer.json()["agreed"], answer.json()["by"]) == (201, True, "key:bob")
    assert api("POST", path, json={"action": "other"}).status_code == 409
    assert api("GET", PATH, params={"environment": "sandbox"}).json()["agreed"] == 1


def test_a_candidate_that_was_none_is_refused(api, known):
    answer = api("POST", f"/v1/incidents/{known.id}/action-taken", json={"action": "x/y"})
    assert (answer.status_code, "service-down/restart or other" in answer.json()["detail"]) == (422, True)
