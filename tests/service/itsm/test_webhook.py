import json
import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from models.domain.base import Severity
from models.domain.errors import BadInput, Unauthenticated
from service.itsm.signature import HEADER, sign, verify_signature
from service.itsm.webhook import WebhookTicketing, build
from service.ports import Context, TicketDraft, TicketingError
from service.security.secrets import resolve_secret

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECRETS = {"HOOK": "k3y-of-the-hook"}
CONTEXT = Context(clock=lambda: NOW, secret=lambda reference: resolve_secret(reference, SECRETS))
DRAFT = TicketDraft("INC-7", "shop is down", "**3** services", Severity.CRITICAL, {"service": "shop"})


def make(url: str, **more) -> WebhookTicketing:
    return build({"url": f"{url}/hook?token=t0ken", "secret": "env:HOOK", "timeout": "1s", **more}, CONTEXT)


def test_a_ticket_s_life_is_three_signed_events(loopback):
    loopback.answer = lambda _: loopback.Answer(201, b'{"reference": "OPS-12"}')
    ticketing = make(loopback.url)
    reference = ticketing.open(DRAFT, "INC-7-open")
    assert reference == "OPS-12"
    ticketing.comment(reference, "restarted `shop`", "INC-7-act")
    ticketing.close(reference, "healthy again", "INC-7-close")
    events = [json.loads(request.body) for request in loopback.received]
    assert [event["type"] for event in events] == ["opened", "commented", "closed"]
    assert events[0] == {
        "type": "opened", "key": "INC-7-open", "at": "2026-03-01T12:00:00Z", "incident": "INC-7", "reference": None,
        "title": "shop is down", "body": "**3** services", "severity": "critical", "labels": {"service": "shop"},
    }  # fmt: skip
    assert [(event["reference"], event["body"]) for event in events[1:]] == [
        ("OPS-12", "restarted `shop`"),
        ("OPS-12", "healthy again"),
    ]
    for request, event in zip(loopback.received, events, strict=True):
        assert request.method == "POST"
        assert request.headers["idempotency-key"] == event["key"]
        verify_signature(request.headers[HEADER.lower()], request.body, SECRETS["HOOK"], now=NOW)


def test_no_secret_and_no_address_of_a_person_leaves(loopback):
    loopback.answer = lambda _: loopback.Answer(201, b'{"reference": "OPS-12"}')
    leaky = replace(DRAFT, title="ann@example.com cannot buy", body="the log says password=Zebra77stripes")
    ticketing = make(loopback.url)
    ticketing.comment(ticketing.open(leaky, "k"), "ask ann@example.com", "k2")
    sent = "".join(request.body.decode() for request in loopback.received)
    assert "cannot buy" in sent
    for secret in ("ann@example.com", "Zebra77stripes"):
        assert secret not in sent


def test_a_receiver_can_tell_a_repeated_event_by_its_key(loopback):
    opened: dict[str, int] = {}

    def answer(request):
        number = opened.setdefault(request.headers["idempotency-key"], len(opened) + 1)
        return loopback.Answer(200, json.dumps({"reference": number}).encode())

    loopback.answer = answer
    ticketing = make(loopback.url)
    assert [ticketing.open(DRAFT, key) for key in ("a", "a", "b", "a")] == ["1", "1", "2", "1"]


@pytest.mark.parametrize(
    "body",
    [b"", b"thanks", b"[1]", b'{"reference": null}', b'{"reference": true}', b'{"reference": ""}',
     b'{"reference": "a\\nb"}', b'{"reference": "' + b"x" * 300 + b'"}', b"\xff\xfe",
     b'{"reference": "' + b"y" * 200_000],
)  # fmt: skip
def test_without_a_usable_reference_the_incident_is_the_reference(loopback, body):
    loopback.answer = lambda _: loopback.Answer(200, body)
    assert make(loopback.url).open(DRAFT, "k") == "INC-7"


@pytest.mark.parametrize(
    ("status", "retriable"),
    [(400, False), (401, False), (404, False), (302, False), (408, True), (429, True), (500, True), (503, True)],
)
def test_a_refusal_says_whether_it_is_worth_another_try(loopback, status, retriable):
    loopback.answer = lambda _: loopback.Answer(status, b"queue is full", {"Location": loopback.url})
    with pytest.raises(TicketingError, match=f"/hook answered {status}: queue is full") as caught:
        make(loopback.url).comment("OPS-1", "x", "k")
    assert caught.value.retriable is retriable
    assert "t0ken" not in str(caught.value)
    assert len(loopback.received) == 1


def test_no_answer_is_worth_another_try(loopback):
    loopback.answer = lambda _: None
    with pytest.raises(TicketingError, match="does not answer") as caught:
        make(loopback.url).comment("OPS-1", "x", "k")
    assert caught.value.retriable
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(TicketingError, match="does not answer") as caught:
            make(f"http://127.0.0.1:{closed.getsockname()[1]}").open(DRAFT, "k")
    assert caught.value.retriable
    assert "t0ken" not in str(caught.value)


class TestSignature:
    BODY = b'{"type":"opened"}'

    def check(self, header: str, *, body: bytes = BODY, secret: str = "s", now: datetime = NOW) -> None:
        verify_signature(header, body, secret, now=now)

    def test_ours_is_accepted_for_five_minutes(self):
        header = sign(self.BODY, "s", NOW)
        self.check(header)
        self.check(header, now=NOW + timedelta(minutes=5))
        for late in (timedelta(minutes=5, seconds=1), timedelta(minutes=-6)):
            with pytest.raises(Unauthenticated, match="too old, or from the future"):
                self.check(header, now=NOW + late)

    def test_any_change_is_found(self):
        header = sign(self.BODY, "s", NOW)
        later = header.replace(f"t={int(NOW.timestamp())}", f"t={int(NOW.timestamp()) + 1}")
        for change in ({"body": self.BODY + b" "}, {"secret": "other"}, {"header": later}, {"header": header[:-1]}):
            with pytest.raises(Unauthenticated, match="does not fit"):
                self.check(**{"header": header, **change})

    @pytest.mark.parametrize(
        "header", ["", "v1=ab", "t=x,v1=ab", "t=1,t=2,v1=ab", "t=-1,v1=a", "t=1", "t=1,v1=ü", ",,=,"]
    )
    def test_anything_else_is_refused(self, header):
        with pytest.raises(Unauthenticated):
            self.check(header)

    def test_two_secrets_while_one_replaces_the_other(self):
        new, old = sign(self.BODY, "new", NOW), sign(self.BODY, "old", NOW)
        both = f"{new},{old.split(',')[1]}"
        self.check(both, secret="old")
        self.check(both, secret="new")

    def test_the_form_is_the_published_one(self):
        # Computed apart: printf '%s' '1772366400.{}' | openssl dgst -sha256 -hmac whsec
        assert (
            sign(b"{}", "whsec", NOW)
            == "t=1772366400,v1=ce06167c8bb6d52cf6a9c7bfbc3a30b5af99eb181e644f4c182dd28af5e8e8b4"
        )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"url": "ftp://h"}, "ticketing.config: url: must begin with http"),
        ({"url": "http://u:p4ss@h"}, "url: must hold no credentials"),
        ({"secret": "p4ss"}, "ticketing.config.secret: a secret is given by reference"),
        ({"secret": "env:NOT_THERE"}, "ticketing.config.secret: the environment variable NOT_THERE is not set"),
        ({"timeout": "0s"}, "timeout: must be above 0s"),
        ({"verify": False}, "verify: there is no such key"),
    ],
)
def test_wrong_settings_name_their_key_and_show_no_secret(change, words):
    config = {"url": "http://h", "secret": "env:HOOK", **change}
    with pytest.raises(BadInput, match=words) as caught:
        build(config, CONTEXT)
    assert "p4ss" not in str(caught.value)
