"""Over a real corpus, index and guard: what the API and `suture recommend` share."""

import pytest

from service.guard.guard import Guard
from service.guard.policy import load_policies
from service.recommender import build_recommender
from service.registry import verb_catalogue

RUNBOOK = """\
---
id: shop-down
title: The shop does not answer
triggers: ['signal.name == "ShopDown"']
actions:
  - id: restart-shop
    title: Restart the shop
    uses: process/restart
    with: {name: shop}
    verify: [{query: up, is: "== 1"}]
---
# The shop does not answer

Restart the process of the shop; it needs a few seconds to answer again.
"""
INCIDENT = {
    "title": "The shop does not answer",
    "services": ["shop"],
    "signals": [{"kind": "alert", "name": "ShopDown", "labels": {"service": "shop", "env": "prod"}}],
}


@pytest.fixture
def recommending(with_parts, api, tmp_path):
    books = tmp_path / "books"
    books.mkdir()
    (books / "shop-down.md").write_text(RUNBOOK)
    (books / "broken.md").write_text("---\nid: 7\ntitle: x\n---\n")
    settings = api.parts.settings.model_copy(update={"runbooks": (books,)})
    pipeline = build_recommender(settings, api.parts.clock)
    policies = load_policies(None, verb_catalogue())
    guard = Guard(policies, settings, api.parts.kill_switch, api.parts.executions, api.parts.clock)
    return with_parts(pipeline=pipeline, corpus=pipeline.corpus, guard=guard)


def test_an_incident_in_a_recommendation_out_and_nothing_kept(recommending):
    answer = recommending("POST", "/v1/recommendations", json=INCIDENT)
    assert answer.status_code == 200
    best = answer.json()["candidates"][0]
    assert (best["runbook"], best["action"], best["target"]) == ("shop-down", "restart-shop", "process:shop")
    assert best["decision"]["verdict"] == "needs_approval"
    assert all(RUNBOOK[each["start"] : each["end"]] == each["quote"] for each in best["citations"])
    assert answer.json()["incident"]["environment"] == "prod"
    assert answer.json()["incident"]["culprits"][0]["service"] == "shop"
    assert recommending("GET", "/v1/incidents").json()["items"] == []
    assert recommending("GET", "/v1/executions").json()["items"] == []

    recommending.parts.kill_switch.turn(True, "test")
    stopped = recommending("POST", "/v1/recommendations", json=INCIDENT).json()["candidates"][0]["decision"]
    assert (stopped["verdict"], stopped["reason"]) == ("forbid", "the kill switch is on")

    listed = recommending("GET", "/v1/runbooks").json()
    actions = {each["id"]: each["actions"] for each in listed["items"]}
    assert actions == {"shop-down": ["restart-shop"], "broken": []}
    assert listed["problems"][0]["file"].endswith("broken.md")
    assert listed["problems"][0]["mend"]
    assert recommending("GET", "/v1/runbooks/shop-down").json()["text"] == RUNBOOK
    assert recommending("GET", "/v1/runbooks/none").status_code == 404


def test_a_recommendation_that_was_given_is_read_again(recommending, opened):
    incident = opened(services=("shop",))
    path = f"/v1/incidents/{incident.id}/recommendation"
    assert recommending("GET", path).status_code == 404
    given = recommending.parts.pipeline.recommend(incident, "REC-1")
    recommending.parts.recommendations.add(given)
    assert recommending("GET", path).json()["id"] == "REC-1"
