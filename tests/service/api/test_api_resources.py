from datetime import timedelta

import pytest

from models.domain.execution import ExecutionState, StepRecord
from service.ports import TicketDraft
from service.store.keys import Role

SIGNAL = {"kind": "alert", "name": "ShopDown", "severity": "critical", "labels": {"service": "shop", "env": "prod"}}


def follow(api, path, limit):
    items, cursor = [], ""
    while cursor is not None:
        page = api("GET", f"{path}?limit={limit}" + (f"&cursor={cursor}" if cursor else "")).json()
        assert len(page["items"]) <= limit
        items += page["items"]
        cursor = page["next"]
    return items


def test_a_signal_opens_an_incident_that_is_there_when_the_answer_is(api):
    answer = api("POST", "/v1/signals", json=[SIGNAL])
    assert answer.status_code == 202
    accepted = answer.json()["accepted"]
    assert [each["path"] for each in accepted] == ["$[0]"]
    found = api("GET", f"/v1/incidents/{accepted[0]['incident']}").json()
    assert found["severity"] == "critical"
    assert found["environment"] == "prod"
    assert found["services"] == ["shop"]


def test_bad_signals_do_not_refuse_the_good_ones(api):
    late = {**SIGNAL, "at": "2026-01-31T13:00:00Z"}
    body = {"signals": [{**SIGNAL, "kind": "alarm"}, SIGNAL, 7, late, {**SIGNAL, "labels": {"a": 1}}]}
    answer = api("POST", "/v1/signals", json=body)
    assert answer.status_code == 202
    assert [each["path"] for each in answer.json()["accepted"]] == ["$.signals[1]"]
    refused = {each["path"]: each["problem"] for each in answer.json()["refused"]}
    assert list(refused) == ["$.signals[0].kind", "$.signals[2]", "$.signals[3].at", "$.signals[4].labels.a"]
    assert "in the future" in refused["$.signals[3].at"]


def test_no_valid_signal_is_bad_input_with_every_problem(api):
    answer = api("POST", "/v1/signals", json=[{"kind": "alert"}, 3])
    assert answer.status_code == 422
    assert [each["path"] for each in answer.json()["errors"]] == ["$[0].name", "$[1]"]
    assert api("GET", "/v1/incidents").json()["items"] == []


@pytest.mark.parametrize("body", [[], {}, {"signals": []}, {"signals": 1}, "x", None])
def test_what_is_no_list_of_signals(api, body):
    assert api("POST", "/v1/signals", json=body).status_code == 422


def test_samples_are_stored_and_bad_ones_named(api):
    good = {"labels": {"__name__": "up", "service": "shop"}, "at": "2026-01-31T11:59:50Z", "value": 0}
    answer = api("POST", "/v1/telemetry", json={"samples": [good, {**good, "value": "many"}]})
    assert answer.status_code == 202
    assert answer.json()["accepted"] == 1
    assert answer.json()["refused"][0]["path"] == "$.samples[1].value"
    assert api.parts.samples.series_count() == 1
    answer = api("POST", "/v1/telemetry", json={"samples": [{**good, "value": "many"}]})
    assert answer.status_code == 422


def test_pages_hold_every_incident_once(api, opened):
    for number in range(7):
        opened(title=f"incident {number}", environment="prod" if number % 2 else "test")
    assert [each["title"] for each in follow(api, "/v1/incidents", 3)] == [f"incident {n}" for n in range(6, -1, -1)]
    found = api("GET", "/v1/incidents?environment=prod&status=open&status=closed").json()
    assert len(found["items"]) == 3
    assert found["next"] is None
    assert api("GET", "/v1/incidents?status=closed").json()["items"] == []


def test_closing_cancels_what_waits_and_names_who_did_it(api, opened, waiting):
    known = opened()
    waiting("EXE-1", known.id)
    headers = api.as_role(Role.APPROVER, "ada")
    answer = api.client.post(f"/v1/incidents/{known.id}/close", json={"reason": "a drill"}, headers=headers)
    assert answer.json()["status"] == "closed"
    cancelled = api("GET", "/v1/executions/EXE-1").json()
    assert (cancelled["state"], cancelled["cancel"]["by"]) == ("cancelled", "key:ada")
    entry = api("GET", f"/v1/audit?subject={known.id}").json()["items"][-1]
    assert (entry["actor"], entry["data"]["reason"]) == ("key:ada", "a drill")
    again = api.client.post(f"/v1/incidents/{known.id}/resolve", json={"reason": "x"}, headers=headers)
    assert again.status_code == 409


def test_escalating_and_resolving(api, opened):
    known = opened()
    assert api("POST", f"/v1/incidents/{known.id}/escalate", json={"reason": "x"}).json()["status"] == "escalated"
    assert api("POST", f"/v1/incidents/{known.id}/resolve", json={"reason": "x"}).json()["status"] == "resolved"
    assert api("POST", f"/v1/incidents/{known.id}/resolve", json={}).status_code == 422
    assert api("POST", "/v1/incidents/INC-99/resolve", json={"reason": "x"}).status_code == 404


def test_an_approval_is_recorded_once_a_person(api, opened, waiting):
    waiting("EXE-1", opened().id)
    ada = api.as_role(Role.APPROVER, "ada")
    word = {"approved": True, "comment": "go"}
    answer = api.client.post("/v1/executions/EXE-1/approval", json=word, headers=ada)
    assert answer.status_code == 201
    assert (answer.json()["by"], answer.json()["role"]) == ("key:ada", "approver")
    assert api.client.post("/v1/executions/EXE-1/approval", json=word, headers=ada).status_code == 409
    shown = api("GET", "/v1/executions/EXE-1").json()
    assert [each["comment"] for each in shown["approvals"]] == ["go"]
    assert api("POST", "/v1/executions/EXE-9/approval", json=word).status_code == 404


def test_executions_in_pages_by_incident_and_state(api, opened, waiting):
    first, second = opened(), opened()
    for number in range(5):
        waiting(f"EXE-{number}", first.id if number else second.id)
    step = StepRecord(name="start", state="done", at=api.parts.clock())
    api.parts.executions.transition("EXE-1", ExecutionState.CANCELLED, step)
    assert [each["id"] for each in follow(api, "/v1/executions", 2)] == [f"EXE-{n}" for n in (4, 3, 2, 1, 0)]
    assert len(api("GET", f"/v1/executions?incident={first.id}&state=pending").json()["items"]) == 3


def test_cancelling_an_execution(api, opened, waiting):
    waiting("EXE-1", opened().id)
    answer = api("POST", "/v1/executions/EXE-1/cancel", json={"reason": "the team is on it"})
    assert (answer.json()["state"], answer.json()["cancel"]["by"]) == ("cancelled", "key:root")
    assert answer.json()["steps"][-1]["detail"] == "cancelled by key:root: the team is on it"
    assert api("POST", "/v1/executions/EXE-1/cancel").status_code == 409


def test_one_that_runs_is_told_of_the_wish_and_ends_by_itself(api, opened, waiting):
    waiting("EXE-1", opened().id)
    step = StepRecord(name="start", state="done", at=api.parts.clock())
    api.parts.executions.transition("EXE-1", ExecutionState.RUNNING, step)
    answer = api("POST", "/v1/executions/EXE-1/cancel").json()
    assert (answer["state"], answer["cancel"]["by"]) == ("running", "key:root")
    api.parts.executions.transition("EXE-1", ExecutionState.ROLLING_BACK, step)
    assert api("POST", "/v1/executions/EXE-1/cancel").status_code == 409


def test_an_approver_stops_and_only_an_admin_starts_again(api):
    approver = api.as_role(Role.APPROVER)
    assert api.client.put("/v1/kill-switch", json={"on": True}, headers=approver).json() == {"on": True}
    assert api.parts.kill_switch.is_on()
    refused = api.client.put("/v1/kill-switch", json={"on": False}, headers=approver)
    assert refused.status_code == 403
    assert "role admin" in refused.json()["detail"]
    assert api("GET", "/v1/kill-switch").json() == {"on": True}
    assert api("PUT", "/v1/kill-switch", json={"on": False}).json() == {"on": False}


def test_the_audit_log_in_pages_and_its_verification(api, opened):
    for _ in range(4):
        opened()
    numbers = [each["number"] for each in follow(api, "/v1/audit", 2)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert api("GET", "/v1/audit/verify").json()["intact"] is True
    with api.parts.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM audit WHERE number = 2")
    report = api("GET", "/v1/audit/verify").json()
    assert report["intact"] is False
    assert "entry 2 is missing" in report["breaks"][0]


def test_tickets_of_the_embedded_tracker(api):
    references = [
        api.parts.ticketing.open(TicketDraft(f"INC-{n}", "shop is down", "words", severity="critical"), f"key-{n}")
        for n in range(3)
    ]
    api.parts.ticketing.comment(references[0], "restarted", "key")
    assert [each["reference"] for each in follow(api, "/v1/tickets", 2)] == references[::-1]
    assert api("GET", f"/v1/tickets/{references[0]}").json()["comments"][0]["text"] == "restarted"
    assert api("GET", "/v1/tickets/TCK-99").status_code == 404


def test_tickets_that_are_elsewhere(with_parts):
    class Webhook:
        name = "webhook"

    answer = with_parts(ticketing=Webhook())("GET", "/v1/tickets")
    assert answer.status_code == 404
    assert "webhook" in answer.json()["detail"]


def test_ready_and_which_part_is_not(api):
    assert api.client.get("/livez").json() == {"status": "alive"}
    assert api.client.get("/readyz").status_code == 200
    api.parts.source.up = False
    answer = api.client.get("/readyz")
    assert answer.status_code == 503
    assert [each["path"] for each in answer.json()["errors"]] == ["source"]
    assert api.client.get("/livez").status_code == 200


def test_replicas_and_who_continues_what_one_left(api):
    replicas = api.parts.replicas
    replicas.add("former", home="folder", host="one", version="3")
    replicas.add("present", home="folder", host="one", version="3")
    replicas.add("other", home="elsewhere", host="two", version="3")
    items = {one["id"]: one for one in api("GET", "/v1/replicas").json()["items"]}
    assert {name: (one["host"], one["state"], one["taken_by"]) for name, one in items.items()} == {
        "former": ("one", "taken over", "present"),
        "present": ("one", "alive", None),
        "other": ("two", "alive", None),
    }
    assert all(0 <= one["beat_seconds_ago"] < 30 for one in items.values())
    text = api.client.get("/metrics").text
    assert 'suture_replicas{state="alive"} 2.0' in text
    assert 'suture_replicas{state="taken over"} 1.0' in text


def test_metrics_tell_the_state_and_the_requests(api, opened, waiting):
    waiting("EXE-1", opened().id)
    api("GET", "/v1/incidents/INC-1")
    api("GET", "/v1/incidents/INC-2")
    text = api.client.get("/metrics").text
    assert 'suture_incidents{status="open"} 1.0' in text
    assert 'suture_executions{state="pending"} 1.0' in text
    assert "suture_samples_total 0.0" in text
    assert 'suture_http_requests_total{method="GET",route="/v1/incidents/{id}",status="404"} 1.0' in text
    assert "INC-1" not in text


def test_a_time_without_a_zone_is_refused(api):
    answer = api("POST", "/v1/signals", json=[{**SIGNAL, "at": "2026-01-31T12:00:00"}])
    assert answer.json()["errors"][0]["path"] == "$[0].at"


def test_an_old_signal_keeps_its_time(api):
    began = api.parts.clock() - timedelta(minutes=3)
    answer = api("POST", "/v1/signals", json=[{**SIGNAL, "at": began.isoformat()}]).json()
    found = api("GET", f"/v1/incidents/{answer['accepted'][0]['incident']}").json()
    assert found["started_at"] == began.isoformat().replace("+00:00", "Z")


def test_maintenance_is_planned_by_approvers_and_ended_by_admins(api):
    approver = api.as_role(Role.APPROVER, "ada")
    window = {"service": "orders-*", "ends_at": "2026-01-31T14:00:00+01:00", "reason": "new disks"}
    planned = api.client.post("/v1/maintenance", json=window, headers=approver)
    assert planned.status_code == 201
    assert (planned.json()["id"], planned.json()["by"], planned.json()["environment"]) == ("MNT-1", "key:ada", "*")
    assert planned.json()["starts_at"] == "2026-01-31T12:00:00Z"
    assert api("GET", "/v1/maintenance").json()["items"] == [planned.json()]
    assert api.client.delete("/v1/maintenance/MNT-1", headers=approver).status_code == 403
    assert api("DELETE", "/v1/maintenance/MNT-1").json()["ended_by"] == "key:root"
    assert api("DELETE", "/v1/maintenance/MNT-1").status_code == 409
    assert api("DELETE", "/v1/maintenance/MNT-9").status_code == 404
    told = api("GET", "/v1/audit?subject=MNT-1").json()["items"]
    assert [(entry["event"], entry["actor"]) for entry in told] == [
        ("maintenance.added", "key:ada"), ("maintenance.ended", "key:root")
    ]  # fmt: skip
    assert api.client.post("/v1/maintenance", json=window, headers=api.as_role(Role.SENDER)).status_code == 403


@pytest.mark.parametrize("ends", ["2026-01-31T14:00:00", "2026-01-31T11:00:00Z"])
def test_maintenance_without_a_zone_or_without_time_is_refused(api, ends):
    window = {"service": "*", "ends_at": ends, "reason": "new disks"}
    assert api("POST", "/v1/maintenance", json=window).status_code == 422
    assert api("GET", "/v1/maintenance").json()["items"] == []


def test_silences_are_made_seen_and_ended_by_approvers(api):
    approver = api.as_role(Role.APPROVER, "ada")
    body = {"matchers": ["service=mail", 'alertname=~"Disk.*"'], "ends_at": "2026-01-31T14:00:00Z", "reason": "known"}
    made = api.client.post("/v1/silences", json=body, headers=approver)
    assert (made.status_code, made.json()["id"], made.json()["by"]) == (201, "SIL-1", "key:ada")
    alert = {"kind": "alert", "name": "DiskFull", "labels": {"service": "mail"}}
    [accepted] = api("POST", "/v1/signals", json=[alert]).json()["accepted"]
    assert (accepted["incident"], "SIL-1 silences it" in accepted["note"]) == (None, True)
    assert api("GET", "/v1/silences/SIL-1").json()["count"] == 1
    assert api("GET", "/v1/silences").json()["items"][0]["signals"][0]["name"] == "DiskFull"
    assert api.client.post("/v1/silences", json=body, headers=api.as_role(Role.SENDER)).status_code == 403
    assert api.client.delete("/v1/silences/SIL-1", headers=approver).json()["ended_by"] == "key:ada"
    assert api("DELETE", "/v1/silences/SIL-1").status_code == 409
    assert api("GET", "/v1/silences/SIL-9").status_code == 404
    bad = api("POST", "/v1/silences", json=body | {"matchers": ["service=~.*"]})
    assert (bad.status_code, "would fit every signal" in bad.json()["detail"]) == (422, True)


def test_incidents_are_merged_and_split_by_approvers(api):
    approver = api.as_role(Role.APPROVER, "ada")
    alerts = [{"kind": "alert", "name": "Down", "labels": {"service": name}} for name in ("mail", "shop")]
    home, other = (each["incident"] for each in api("POST", "/v1/signals", json=alerts).json()["accepted"])
    body = {"with": [other], "reason": "one cause"}
    path = f"/v1/incidents/{home}"
    assert api.client.post(f"{path}/merge", json=body, headers=api.as_role(Role.SENDER)).status_code == 403
    merged = api.client.post(f"{path}/merge", json=body, headers=approver)
    assert (merged.status_code, merged.json()["services"]) == (200, ["mail", "shop"])
    assert api("GET", f"/v1/incidents/{other}").json()["merged_into"] == home
    assert api("POST", f"{path}/merge", json=body).status_code == 409
    parted = api.client.post(f"{path}/split", json={"incident": other, "reason": "two"}, headers=approver).json()
    assert (parted["left"]["services"], parted["split_off"]["services"]) == (["mail"], ["shop"])
    assert api("POST", f"{path}/split", json={"services": ["mail"], "reason": "x"}).status_code == 422
    assert api("POST", "/v1/incidents/INC-99/split", json={"services": ["mail"], "reason": "x"}).status_code == 404
