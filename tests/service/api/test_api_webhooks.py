"""Signals from senders that sign: taken once, on both databases, after a restart and on any replica."""

import base64
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import func, select, text
from sqlalchemy.exc import OperationalError
from starlette.testclient import TestClient

from models.domain.errors import BadInput, Unauthenticated
from service.api import create_api
from service.cli.checkup import CHECKS, examine
from service.security.webhooks import Webhooks
from service.settings import load_settings
from service.store.tables import deliveries, incidents
from tests.service.api.webhook_parts import BODY, OTHER, SECRET, headers, send, signature

ALERTMANAGER = {
    "version": "4",
    "groupKey": "{}:{}",
    "status": "firing",
    "receiver": "suture",
    "truncatedAlerts": 0,
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "ShopBroken", "severity": "critical", "service": "shop"},
            "annotations": {"description": "requests fail", "summary": "Shop is broken", "runbook_url": "http://x"},
            "startsAt": "2020-01-01T00:00:00Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus.test/graph",
            "fingerprint": "a1b2c3d4e5f60718",
        },
        {"status": "firing", "labels": {"severity": "critical"}},
    ],
}


@pytest.fixture(autouse=True)
def secrets(monkeypatch):
    monkeypatch.setenv("CI_SECRET", SECRET)
    monkeypatch.setenv("NEXT_SECRET", OTHER)


@pytest.fixture
def webhook(installation):
    """A client of an installation that nothing else runs in, and the installation."""

    def make(format: str = "signals", secret: Any = "env:CI_SECRET", **changes: Any) -> tuple[TestClient, Any]:
        parts = installation(webhooks={"ci": {"secret": secret, "format": format}}, **changes).parts
        return TestClient(create_api(parts)), parts

    return make


def count(parts, table):
    with parts.database.read() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar()


def test_the_tests_sign_as_the_specification_says():
    """The example of https://www.standardwebhooks.com, made by somebody else."""
    body = b'{"event_type":"ping","data":{"success":true}}'
    given = signature(body, "msg_loFOjxBNrRLzqYUf", 1731705121, "whsec_plJ3nmyCDGBKInavdOK15jsl")
    assert given == "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="


def test_a_signed_delivery_opens_an_incident_once_and_after_a_restart(webhook, database_url):
    client, parts = webhook(database_url=database_url)
    answer = send(client)
    assert answer.status_code == 202
    assert answer.json()["repeated"] is False
    (taken,) = answer.json()["accepted"]
    found = parts.incidents.get(taken["incident"])
    assert [signal.name for signal in found.signals] == ["ShopBroken"]
    again = send(client, late=-10)
    assert (again.status_code, again.json()) == (202, {"accepted": [], "refused": [], "repeated": True})
    parts.close()
    client, parts = webhook(database_url=database_url)
    assert send(client).json()["repeated"] is True
    assert parts.incidents.get(taken["incident"]) == found, "untouched"
    assert send(client, identifier="msg_2").json()["repeated"] is False


def test_two_replicas_that_get_it_at_once_take_it_once(webhook, database_url):
    clients = [webhook(database_url=database_url)[0] for _ in range(2)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: send(clients[number % 2]), range(8)))
    assert {answer.status_code for answer in answers} == {202}
    assert sorted(answer.json()["repeated"] for answer in answers) == [False] + [True] * 7


def test_a_delivery_that_could_not_be_taken_in_may_come_again(webhook, database_url, monkeypatch):
    client, parts = webhook(database_url=database_url)

    def fail(*_):
        raise OperationalError("INSERT", {}, Exception("disk full"))

    with monkeypatch.context() as broken:
        broken.setattr(parts.incidents, "add", fail)
        assert send(client).status_code == 503
    assert count(parts, deliveries) == 0
    assert send(client).json()["repeated"] is False
    assert count(parts, incidents) == 1


def test_long_ago_deliveries_are_forgotten(webhook, database_url):
    client, parts = webhook(database_url=database_url)
    for identifier in ("old", "young"):
        send(client, identifier=identifier)
    with parts.database.write() as connection:
        for seconds, number in ((86_400 * 4 + 60, "min"), (86_400 * 4 - 60, "max")):
            which = f"taken_at = (SELECT {number}(taken_at) FROM deliveries)"
            connection.execute(text(f"UPDATE deliveries SET taken_at = taken_at - {seconds} WHERE {which}"))
    send(client, identifier="new")
    assert count(parts, deliveries) == 2


def test_what_is_refused_after_its_signature_held_is_told_as_elsewhere_and_may_come_again(webhook):
    client, parts = webhook()
    broken, wrong = send(client, b'[\n  {"kind": alert}]'), send(client, b'[{"kind": "alarm"}]')
    assert (broken.status_code, broken.json()["title"]) == (400, "malformed JSON")
    assert "line 2, column 12" in broken.json()["detail"]
    assert wrong.status_code == 422
    assert {each["path"] for each in wrong.json()["errors"]} == {"$[0].kind"}
    assert send(client, b"[" * 100_000).status_code == 400
    assert count(parts, deliveries) == 0
    assert send(client).status_code == 202


def test_one_name_knows_nothing_of_anothers_deliveries(installation):
    hooks = {"ci": {"secret": "env:CI_SECRET"}, "slo": {"secret": "env:NEXT_SECRET"}}
    client = TestClient(create_api(installation(webhooks=hooks).parts))
    for name, secret, repeated in (("ci", SECRET, False), ("slo", OTHER, False), ("slo", OTHER, True)):
        assert send(client, name=name, secret=secret).json()["repeated"] is repeated


def test_two_webhooks_do_not_share_a_secret(monkeypatch):
    monkeypatch.setenv("NEXT_SECRET", SECRET)
    hooks = {"ci": {"secret": "env:CI_SECRET"}, "slo": {"secret": "env:NEXT_SECRET"}}
    with pytest.raises(BadInput, match=r"webhooks.slo.secret: ci has the same one"):
        Webhooks(load_settings(webhooks=hooks).webhooks)


def test_both_secrets_hold_while_one_is_changed(webhook):
    client, _ = webhook(secret=["env:NEXT_SECRET", "env:CI_SECRET"])
    assert send(client).status_code == 202
    assert send(client, identifier="msg_2", secret=OTHER).status_code == 202
    both = headers()
    both["webhook-signature"] += " v1a,b3RoZXI= " + "v1,b3RoZXI="
    assert client.post("/v1/webhooks/ci", content=BODY, headers=both).status_code == 202


def test_who_is_refused_learns_nothing_and_the_log_says_why(webhook, caplog):
    client, _ = webhook()
    with caplog.at_level("INFO"):
        wrong, unknown = send(client, secret=OTHER), send(client, name="nobody")
        late = send(client, late=301)
    said = [{**answer.json(), "instance": ""} for answer in (wrong, unknown, late)]
    assert {answer.status_code for answer in (wrong, unknown, late)} == {401}
    assert said[0] == said[1] == said[2]
    assert wrong.headers["content-type"] == "application/problem+json"
    assert "'ci': No matching signature found" in caplog.text
    assert "'nobody': there is no such webhook" in caplog.text
    assert "'ci': Message timestamp too old" in caplog.text
    assert SECRET not in caplog.text + wrong.text


def test_a_body_is_not_looked_at_before_its_signature(webhook):
    client, _ = webhook()
    for body in (b"{", b"[" * 100_000, b"\x80"):
        assert send(client, body, secret=OTHER).status_code == 401


def test_alerts_as_alertmanager_writes_them_signed_and_by_key(webhook):
    client, parts = webhook(format="alertmanager")
    body = json.dumps(ALERTMANAGER).encode()
    answer = send(client, body).json()
    assert [each["path"] for each in answer["accepted"]] == ["$.alerts[0]"]
    assert [each["path"] for each in answer["refused"]] == ["$.alerts[1].labels.alertname"]
    (signal,) = parts.incidents.get(answer["accepted"][0]["incident"]).signals
    assert (signal.name, signal.source, signal.severity, signal.service) == (
        "ShopBroken", "alertmanager", "critical", "shop",
    )  # fmt: skip
    assert signal.text == "Shop is broken\nrequests fail"
    assert (parts.clock() - signal.at).total_seconds() < 3600, "when it was told, not when it began"
    _, key = parts.keys.create("alertmanager", "sender", "test")
    bearer = {"Authorization": f"Bearer {key}"}
    resolved = {"alerts": [ALERTMANAGER["alerts"][0] | {"status": "resolved"}]}
    by_key = client.post("/v1/signals?format=alertmanager", json=resolved, headers=bearer).json()
    assert [each["path"] for each in by_key["accepted"]] == ["$.alerts[0]"]
    latest = parts.incidents.get(answer["accepted"][0]["incident"]).signals[-1]
    assert (latest.fingerprint, latest.status) == (signal.fingerprint, "resolved")
    assert client.post("/v1/signals?format=grafana", json=resolved, headers=bearer).status_code == 422
    for empty in ({}, [], {"alerts": []}, {"alerts": [7]}, {"alerts": [{"labels": {"alertname": "X"}}]}):
        answer = client.post("/v1/signals?format=alertmanager", json=empty, headers=bearer)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["path"].startswith("$.alerts")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "webhooks.ci.secret: the environment variable CI_SECRET is not set"),
        ("correct horse battery staple", "webhooks.ci.secret: env:CI_SECRET must hold whsec_"),
        ("whsec_" + base64.b64encode(b"short").decode(), "24 to 64 bytes"),
        ("whsec_" + base64.b64encode(b"long" * 20).decode(), "24 to 64 bytes"),
    ],
)
def test_a_secret_that_cannot_be_used_is_named_at_the_start_and_by_doctor(installation, monkeypatch, value, words):
    if value is None:
        monkeypatch.delenv("CI_SECRET")
    else:
        monkeypatch.setenv("CI_SECRET", value)
    hooks = {"ci": {"secret": "env:CI_SECRET"}}
    with pytest.raises(BadInput) as refused:
        installation(webhooks=hooks)
    found = examine("webhooks", lambda: dict(CHECKS)["webhooks"](load_settings(webhooks=hooks)), 30)
    assert not found.ok
    for said in (str(refused.value), found.detail):
        assert words in said
        assert value is None or value not in said


def test_doctor_lists_webhooks_and_a_secret_may_be_without_padding(monkeypatch):
    hooks = {"ci": {"secret": "env:CI_SECRET"}, "grafana": {"secret": ["env:NEXT_SECRET"], "format": "alertmanager"}}
    monkeypatch.setenv("CI_SECRET", SECRET.rstrip("=").removeprefix("whsec_"))
    settings = load_settings(webhooks=hooks)
    assert dict(CHECKS)["webhooks"](settings) == "ci (signals), grafana (alertmanager)"
    assert dict(CHECKS)["webhooks"](load_settings()) == "none"
    Webhooks(settings.webhooks).authenticate("ci", headers(), BODY)


def test_the_settings_of_the_page_are_accepted():
    page = (Path(__file__).resolve().parents[3] / "docs" / "api.md").read_text()
    (block,) = re.findall(r"```yaml\n(webhooks:.*?)```", page, re.DOTALL)
    settings = load_settings(**yaml.safe_load(block))
    assert list(settings.webhooks) == ["ci", "pager", "relay"]
    read = Webhooks(settings.webhooks, lambda reference: base64.b64encode(reference.ljust(24).encode()).decode())
    with pytest.raises(Unauthenticated):
        read.authenticate("ci", headers(), BODY)


@pytest.mark.parametrize("name", ["CI", "a/b", "", "ü", "a" * 64])
def test_a_name_is_one_part_of_a_path(name):
    with pytest.raises(BadInput, match="webhooks"):
        load_settings(webhooks={name: {"secret": "env:CI_SECRET"}})


def test_the_route_is_described_with_its_headers(webhook):
    client, _ = webhook()
    operation = client.get("/openapi.json").json()["paths"]["/v1/webhooks/{name}"]["post"]
    assert {each["name"] for each in operation["parameters"]} == {
        "name", "webhook-id", "webhook-timestamp", "webhook-signature",
    }  # fmt: skip
    assert {"202", "400", "401", "413", "422", "503"} == set(operation["responses"])
    assert "Needs no key" in operation["description"]
