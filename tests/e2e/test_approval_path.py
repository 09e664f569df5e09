"""From a signal to a closed ticket with people in between, who speak through the command line or the REST API."""

import time

import pytest


@pytest.fixture(scope="module")
def suture(shared_database, tmp_path_factory, suture_of):
    """One running installation on each database, in mode approve."""
    suture = suture_of(tmp_path_factory.mktemp("approval"), shared_database, mode="approve")
    suture.runbook("ShopBroken")
    suture.runbook("VaultBroken", approval="two-person")
    suture.serve()
    suture.measure(1)
    return suture


def waiting(suture, alert, service):
    """An incident whose execution waits for people: the ids of both."""
    incident = suture.alert(alert, service)
    suture.ended(incident, "awaiting_approval")
    [execution] = suture.executions(incident)
    assert service not in suture.ledger()
    return incident, execution["id"]


def say(suture, execution, key, *, approved=True, status=201):
    return suture.post(f"/v1/executions/{execution}/approval", {"approved": approved}, key=key, status=status)


def still_waits(suture, incident, service):
    """Nothing happened in the time in which a workflow that was woken acts."""
    time.sleep(1)
    return suture.incident(incident)["status"] == "awaiting_approval" and service not in suture.ledger()


def test_a_yes_on_the_command_line_lets_the_service_act_to_the_closed_ticket(suture):
    incident, execution = waiting(suture, "ShopBroken", "command-line")
    recommended = suture.get(f"/v1/incidents/{incident}/recommendation")
    assert recommended["candidates"][0]["candidate"]["uses"] == "ledger/write"
    said = suture.command("approve", execution, "--comment", "seen")
    assert (said.returncode, said.stderr) == (0, "")
    assert suture.ended(incident)["status"] == "resolved"
    assert suture.ledger().count("command-line") == 1
    [done] = suture.executions(incident)
    assert (done["state"], done["verification"]["health"]) == ("succeeded", "healthy")
    ticket = suture.ticket(incident)
    assert "is resolved by Fix it for ShopBroken" in ticket["resolution"]
    story = "\n".join(comment["text"] for comment in ticket["comments"])
    assert story.index("Recommended") < story.index("needs approval") < story.index(f"Execution {execution}")
    checked = suture.command("audit", "verify")
    assert checked.returncode == 0, checked.stdout


def test_a_no_on_the_command_line_leaves_it_to_people(suture):
    incident, execution = waiting(suture, "ShopBroken", "refused")
    assert suture.command("reject", execution).returncode == 0
    assert suture.ended(incident)["status"] == "escalated"
    assert suture.executions(incident)[0]["state"] == "cancelled"
    assert "refused" not in suture.ledger()


def test_over_rest_an_approver_may_and_a_viewer_may_not(suture):
    viewer, approver = suture.key("victor", "viewer"), suture.key("ann", "approver")
    incident, execution = waiting(suture, "ShopBroken", "rest")
    assert "role approver" in say(suture, execution, viewer, status=403)["detail"]
    assert still_waits(suture, incident, "rest")
    assert say(suture, execution, approver)["by"] == "key:ann"
    assert suture.ended(incident)["status"] == "resolved"
    assert suture.ledger().count("rest") == 1


def test_what_takes_two_people_takes_two_different_ones(suture):
    bea, cid = suture.key("bea", "approver"), suture.key("cid", "approver")
    incident, execution = waiting(suture, "VaultBroken", "vault")
    say(suture, execution, bea)
    assert "already decided" in say(suture, execution, bea, status=409)["detail"]
    assert still_waits(suture, incident, "vault")
    say(suture, execution, cid)
    assert suture.ended(incident)["status"] == "resolved"
    assert suture.ledger().count("vault") == 1
    approvals = suture.get(f"/v1/executions/{execution}")["approvals"]
    assert [approval["by"] for approval in approvals] == ["key:bea", "key:cid"]
