"""Forged, changed and replayed deliveries: none is taken in, and a genuine one counts once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import func, select
from starlette.testclient import TestClient

from service.api import create_api
from service.api.application import MAX_BODY_BYTES
from service.store.tables import deliveries, incidents
from tests.attacks.payloads import VALUES
from tests.service.api.webhook_parts import BODY, OTHER, SECRET, headers, send, signature

FAMILY = "forged webhooks"
ID, TIME, SIGNED = "webhook-id", "webhook-timestamp", "webhook-signature"
NOW = int(time.time())


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI_SECRET", SECRET)
    monkeypatch.setenv("SLO_SECRET", OTHER)


@pytest.fixture
def begin(installation: Callable[..., Any]) -> Callable[..., tuple[TestClient, Any]]:
    """An installation with two webhooks, and who talks to it."""

    def make(**changes: Any) -> tuple[TestClient, Any]:
        hooks = {"ci": {"secret": "env:CI_SECRET"}, "slo": {"secret": "env:SLO_SECRET"}}
        one = installation(webhooks=hooks, **changes)
        return TestClient(create_api(one.parts)), one

    return make


def nothing_taken(parts: Any) -> bool:
    with parts.database.read() as connection:
        tables = (incidents, deliveries)
        return [connection.execute(select(func.count()).select_from(each)).scalar() for each in tables] == [0, 0]


def signed(late: int = 0, **more: str) -> dict[str, str]:
    return headers(late=late) | more


def mine(version: str = "v1", cut: int | None = None) -> str:
    """The genuine signature of the body, in another form."""
    return f"{version},{headers()[SIGNED].split(',')[1][:cut]}"


HEADERS: dict[str, Callable[[], dict[str, str]]] = {
    "nothing signed": dict,
    "no signature": lambda: {name: value for name, value in signed().items() if name != SIGNED},
    "no identifier": lambda: {name: value for name, value in signed().items() if name != ID},
    "no time": lambda: {name: value for name, value in signed().items() if name != TIME},
    "empty signature": lambda: signed(**{SIGNED: ""}),
    "empty identifier, signed": lambda: headers(identifier=""),
    "wrong secret": lambda: headers(secret=OTHER),
    "secret as it is written": lambda: headers(secret="whsec_" + "A" * 32),
    "other identifier": lambda: signed(**{ID: "msg_2"}),
    "other time": lambda: signed(**{TIME: str(int(time.time()) - 1)}),
    "too old": lambda: signed(late=310),
    "from the future": lambda: signed(late=-310),
    "of another day": lambda: signed(late=86_400),
    "at zero": lambda: signed(late=int(time.time())),
    "old, with the time set anew": lambda: signed(late=310, **{TIME: str(int(time.time()))}),
    "no version": lambda: signed(**{SIGNED: mine().split(",")[1]}),
    "empty version": lambda: signed(**{SIGNED: mine("")}),
    "version 0": lambda: signed(**{SIGNED: mine("v0")}),
    "version 1a": lambda: signed(**{SIGNED: mine("v1a")}),
    "version in capitals": lambda: signed(**{SIGNED: mine("V1")}),
    "Stripe's form": lambda: signed(**{SIGNED: f"t={NOW},{mine().replace(',', '=', 1)}"}),
    "cut": lambda: signed(**{SIGNED: mine(cut=-4)}),
    "one byte": lambda: signed(**{SIGNED: "v1,AA=="}),
    "empty after the version": lambda: signed(**{SIGNED: "v1,"}),
    "in hex": lambda: signed(**{SIGNED: "v1," + "ab" * 32}),
    "ten thousand signatures": lambda: signed(**{SIGNED: " ".join(["v1," + "A" * 43 + "="] * 10_000)}),
    "a signature of a megabyte": lambda: signed(**{SIGNED: "v1," + "A" * 1_000_000}),
    "a time of a megabyte": lambda: signed(**{TIME: "1" * 1_000_000}),
    "identifier takes the time in": lambda: signed(**{ID: f"msg_1.{int(time.time())}"}),
    "an API key's form": lambda: {"Authorization": f"Bearer {SECRET}", **signed(**{SIGNED: ""})},
}
TIMES = ("nan", "inf", "-inf", "1e400", "-1", "0x10", "now", "2026-01-31T12:00:00Z", "9" * 400, "1" + "0" * 17)
BODIES = {
    "another body": BODY.replace(b"shop", b"bank"),
    "a blank more": BODY + b" ",
    "a line end more": BODY + b"\n",
    "byte order mark": b"\xef\xbb\xbf" + BODY,
    "nothing": b"",
    "cut": BODY[:-1],
    "not UTF-8": BODY + b"\xff",
    "keys in another order": json.dumps(json.loads(BODY), sort_keys=True).encode(),
    "same letters, escaped": BODY.replace(b"shop", b"sh\\u006fp"),
    "nested deep": b"[" * 100_000,
}


def refused(answer: Any, status: int = 401) -> bool:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return True


def test_what_is_not_signed_for_exactly_this_request_is_not_taken(attack, begin):
    client, one = begin()
    for name, made in HEADERS.items():
        for path in ("ci", "slo", "nobody", "%00", "CI", "ci%20", "ci%2f..", "%E2%80%AEic"):
            if path == "slo" and name == "wrong secret":
                continue  # there it is the right one
            with attack(name, path):
                answer = client.post(f"/v1/webhooks/{path}", content=BODY, headers=made())
                assert answer.status_code == (404 if path == "ci%2f.." else 401)
                assert SECRET not in answer.text
    for at in TIMES:
        with attack("time, signed", at):
            forged = signed() | {TIME: at, SIGNED: signature(BODY, "msg_1", at)}
            assert refused(client.post("/v1/webhooks/ci", content=BODY, headers=forged))
    for name, body in BODIES.items():
        with attack("signature of another body", name):
            assert refused(client.post("/v1/webhooks/ci", content=body, headers=signed()))
    assert nothing_taken(one.parts)
    assert send(client).status_code == 202, "the genuine one is"


def test_headers_of_any_bytes_are_refused_and_break_nothing(attack, begin):
    client, one = begin()
    for name, value in VALUES.items():
        for header in (ID, TIME, SIGNED):
            with attack(name, header):
                # Line ends and NUL never come this far: no server lets them into a header.
                written = value.encode()[:60_000].translate(None, b"\r\n\x00")
                forged = {key: text.encode() for key, text in signed().items()} | {header: written}
                assert refused(client.post("/v1/webhooks/ci", content=BODY, headers=forged))
    assert nothing_taken(one.parts)


def test_a_body_that_is_too_large_is_refused_before_its_signature_is_looked_at(attack, begin):
    client, one = begin()
    huge = b"[" + b" " * MAX_BODY_BYTES + b"]"
    for name, content in {"declared": huge, "in pieces": pieces(huge)}.items():
        with attack("huge body", name):
            assert refused(client.post("/v1/webhooks/ci", content=content, headers=headers(huge)), 413)
    assert nothing_taken(one.parts)


def pieces(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), 1_000_000):
        yield body[start : start + 1_000_000]


def replays(sent: dict[str, str]) -> dict[str, Any]:
    """The same delivery again, written in every way in which its signature still holds."""
    moment = sent[TIME]
    return {
        "as it was": sent,
        "with a fraction": sent | {TIME: f"{moment}.9"},
        "with a sign": sent | {TIME: f"+{moment}"},
        "in scientific form": sent | {TIME: f"{moment}e0"},
        "with underscores": sent | {TIME: f"{moment[:1]}_{moment[1:]}"},
        "with zeros before": sent | {TIME: f"000{moment}"},
        "names in capitals": {name.upper(): value for name, value in sent.items()},
        "signature twice": sent | {SIGNED: f"{sent[SIGNED]} {sent[SIGNED]}"},
        "with other signatures": sent | {SIGNED: f"v2,AAAA {sent[SIGNED]}"},
        "signature without padding": sent | {SIGNED: sent[SIGNED].rstrip("=")},
        "with a key as well": sent | {"Authorization": "Bearer sut_x_y"},
        "declared as text": sent | {"content-type": "text/plain"},
        "a second identifier": [*sent.items(), (ID, "msg_2")],
        "a second identifier before": [(ID, "msg_2"), *sent.items()],
        "blanks around the identifier": sent | {ID: " msg_1 "},
    }


def nothing_done(answer: Any) -> bool:
    """It is refused, or answered as what was done already."""
    return answer.status_code == 401 or (answer.status_code == 202 and answer.json()["repeated"] is True)


def test_a_replay_does_nothing_even_after_a_restart_and_on_another_replica(attack, begin, database_url):
    client, one = begin(database_url=database_url)
    sent = headers()
    answer = client.post("/v1/webhooks/ci", content=BODY, headers=sent)
    found = one.parts.incidents.get(answer.json()["accepted"][0]["incident"])
    other, another = begin(database_url=database_url)
    for where, replica in {"same process": client, "another replica": other}.items():
        for name, again in replays(sent).items():
            with attack("replay", where, name):
                assert nothing_done(replica.post("/v1/webhooks/ci", content=BODY, headers=again))
        with attack("replay to the other webhook", where):
            assert refused(replica.post("/v1/webhooks/slo", content=BODY, headers=sent))
        with attack("replay with other words", where):
            changed = BODY.replace(b"critical", b"warning")
            assert refused(replica.post("/v1/webhooks/ci", content=changed, headers=sent))
    for each in (one, another):
        each.parts.close()
    restarted, third = begin(database_url=database_url)
    with attack("replay", "after a restart"):
        assert nothing_done(restarted.post("/v1/webhooks/ci", content=BODY, headers=sent))
    assert third.parts.incidents.get(found.id) == found


def test_a_genuine_delivery_that_is_sent_again_runs_nothing_a_second_time(attack, begin, make_runbook):
    make_runbook()
    client, one = begin()
    one.start()
    one.measure(1)
    sent = headers()
    incident = client.post("/v1/webhooks/ci", content=BODY, headers=sent).json()["accepted"][0]["incident"]
    one.ended(incident, "resolved")
    for name, again in replays(sent).items():
        with attack("replay after its execution", name):
            assert nothing_done(client.post("/v1/webhooks/ci", content=BODY, headers=again))
    time.sleep(1.2)  # two looks of the workflow
    assert one.ledger() == ["shop"]
    assert len(one.executions(incident)) == 1
    assert one.parts.incidents.get(incident).status == "resolved"
