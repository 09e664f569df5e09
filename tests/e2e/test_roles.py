"""An installation of three processes with nothing in common but PostgreSQL, the settings and a secret."""

import secrets
import time

import pytest

ROLES = ("api", "detector", "worker")


@pytest.fixture(scope="module")
def suture(new_database, tmp_path_factory, suture_of):
    """The three processes, each with a state folder of its own as on three machines."""
    folder = tmp_path_factory.mktemp("roles")
    (folder / "secret").write_text(secrets.token_hex(32))
    suture = suture_of(folder, new_database(), mode="approve", signing_key=f"file:{folder / 'secret'}")
    suture.runbook("ShopBroken")
    suture.serve("api")  # the first one makes the admin's key, where this test looks for it
    for process in [suture.begin(role, folder / role) for role in ROLES[1:]]:
        process.ready()
    return suture


def test_each_process_does_its_part_of_one_incident(suture):
    api, detector, _ = suture.processes
    suture.measure(1, to=detector)
    incident = suture.alert("ShopBroken", to=api)
    suture.ended(incident, "awaiting_approval")
    [execution] = suture.executions(incident)
    suture.post(f"/v1/executions/{execution['id']}/approval", {"approved": True}, status=201, to=api)
    assert suture.ended(incident)["status"] == "resolved"
    assert suture.ledger() == ["shop"]
    [done] = suture.executions(incident)
    assert done["verification"]["checks"][0]["values"] == [1.0], "the worker measures what the detector was sent"
    assert suture.ticket(incident)["resolution"]


@pytest.mark.parametrize("place", [0, 2], ids=["api", "worker"])
def test_telemetry_is_refused_where_nobody_would_score_it(suture, place):
    sample = {"labels": {"__name__": "healthy"}, "at": time.time(), "value": 1}
    answer = suture.post("/v1/telemetry", {"samples": [sample]}, status=503, to=suture.processes[place])
    assert "send it to one with the role all or detector" in answer["detail"]
