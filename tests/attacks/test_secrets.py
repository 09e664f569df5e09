"""A secret value leaves Suture only where it was meant to go: looked for in everything else."""

from __future__ import annotations

import json
import logging
import textwrap
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from models.domain.base import utc_now
from models.domain.errors import BadInput, SutureError
from models.language.transport import Question
from service.api import create_api
from service.cli.main import app
from service.executors.hiding import hidden
from service.executors.http import HttpExecutor
from service.executors.script import ScriptExecutor
from service.language import LiteLLMModel
from service.ports import Call, Context, ExecutorError
from service.security.secrets import resolve_secret
from service.settings import load_settings
from service.store.database import open_database
from service.store.keys import Role
from tests.attacks.adversary import Adversary

FAMILY = "secrets"
TOKEN = "canary-5ecret+/=%7e"
WORDS = 'canary "pass\\word" \u00e4'
CONTEXT = Context(clock=utc_now, secret=lambda reference: {"env:TOKEN": TOKEN, "env:WORDS": WORDS}[reference])
SPELT = {TOKEN, WORDS, quote(TOKEN, safe=""), json.dumps(WORDS)[1:-1], json.dumps(WORDS, ensure_ascii=False)[1:-1]}


def assert_hidden(text: str) -> None:
    assert not [form for form in SPELT if form in text]


def test_what_is_left_of_a_secret_at_a_cut_is_hidden(attack):
    for secret in (TOKEN, WORDS):
        for place in range(1, len(secret)):
            with attack("cut", place):
                start, end = secret[place:] + " tail", "head " + secret[:place]
                assert hidden(start, [secret], cut_at_start=True).count(secret[place:]) == (len(secret) - place < 4)
                assert not hidden(end, [secret], cut_at_end=True).endswith(secret[:place]) or place < 4
    assert hidden("nothing to hide", [TOKEN, "abc"]) == "nothing to hide"


PROGRAM = """#!/bin/sh
printf '%s %s' "$TOKEN" "$WORDS"
printf '{"token": "%s"}' "$TOKEN"
printf 'error: %s is wrong\\n' "$TOKEN" >&2
printf '%s\\n' "$WORDS" >&2
[ "$1" = fill ] && head -c 1015 /dev/zero | tr '\\0' x
[ "$1" = fail ] && exit 3
exit 0
"""


@pytest.fixture
def teller(tmp_path: Path) -> dict:
    """A program that tells whatever it knows."""
    folder = tmp_path / "bin"
    folder.mkdir(mode=0o755)
    program = folder / "teller"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    secrets = {"TOKEN": "env:TOKEN", "WORDS": "env:WORDS"}
    return {"programs": {"teller": {"path": str(program), "secrets": secrets}}, "output_limit": 1024}


@pytest.mark.parametrize("argument", ["plain", "fill", "fail"])
def test_a_program_that_tells_its_environment(attack, teller, argument):
    executor = ScriptExecutor.build(teller, CONTEXT)
    call = Call("k", "run", {"program": "teller", "args": [argument]}, timedelta(seconds=5))
    with attack("outputs of a program", argument):
        try:
            said = json.dumps(executor.act(call), ensure_ascii=False)
        except ExecutorError as error:
            said = str(error)
        assert_hidden(said)
        assert "***" in said
        assert TOKEN[-6:] not in said, "nor what a cut left of it"
        assert_hidden(executor.dry_run(call))


AUTHS = {
    "bearer": {"auth": {"kind": "bearer", "token": "env:TOKEN"}},
    "basic": {"auth": {"kind": "basic", "username": "env:TOKEN", "password": "env:TOKEN"}},
    "header": {"auth": {"kind": "header", "name": "X-Api-Key", "value": "env:TOKEN"}},
    "headers": {"headers": {"X-Token": "env:TOKEN"}},
}


@pytest.mark.parametrize("auth", AUTHS)
@pytest.mark.parametrize("status", [200, 500])
def test_a_system_that_sends_back_what_it_got(attack, target, auth, status):
    outputs = {"echo": 'response.headers["x-echo"]', "all": "response.body", "headers": "response.headers"}
    config = {"base_url": target.url, "private": True, "outputs": outputs, **AUTHS[auth]}
    executor = HttpExecutor.build({"targets": {"shop": config}}, CONTEXT)

    def echo(got):
        sent = got.headers.get("authorization") or got.headers.get("x-api-key") or got.headers.get("x-token")
        return status, {"X-Echo": sent}, json.dumps({**got.headers, "quoted": quote(TOKEN, safe="")}).encode()

    target.answer = echo
    with attack("echo", auth, status):
        call = Call("k", "post", {"target": "shop", "path": "/x"}, timedelta(seconds=5))
        try:
            said = json.dumps(executor.act(call))
        except ExecutorError as error:
            said = str(error)
        if auth != "basic":  # whose user name is no secret
            assert_hidden(said)
        sent = target.reached[0].headers
        assert all(
            value not in said for name, value in sent.items() if name in ("authorization", "x-api-key", "x-token")
        )
        assert sent, "the system itself did get it"


RUNBOOK = """\
---
id: tell
title: Tell
services: ["*"]
triggers: ['signal.name == "ShopBroken"']
actions:
  - id: tell
    title: Tell everything
    uses: script/run
    with: {program: teller, args: [ARGUMENT]}
    risk: low
    verify:
      - {query: "healthy", is: "== 1", within: 0s, hold: 0s}
---
# Tell
The alert ShopBroken fires.
"""


@pytest.mark.parametrize("argument", ["plain", "fail"])
def test_nothing_that_an_incident_leaves_holds_a_secret(
    attack, installation, teller, write_document, monkeypatch, caplog, tmp_path, argument
):
    """Database, index, tickets, postmortem, audit, prompts, logs, every answer of the API: all of an installation."""
    for name, value in (("TOKEN", TOKEN), ("WORDS", WORDS), ("SIGNING", "canary-signing-0123456789")):
        monkeypatch.setenv(name, value)
    model = Adversary('{"order": ["c1"]}')
    monkeypatch.setattr("service.app.language_model", lambda settings, ledger=None: model)
    write_document("tell.md", RUNBOOK.replace("ARGUMENT", argument))
    with caplog.at_level(logging.DEBUG):
        one = installation(executors={"script": teller}, signing_key="env:SIGNING", model_api_key=TOKEN).start()
        one.measure(1)
        incident = one.alert()
        one.ended(incident, "resolved", "escalated", seconds=90)
        one.until(
            lambda: "closed" if argument == "fail" else list((tmp_path / "state/postmortems").glob("*.md")) or None, ""
        )
    _, text = one.parts.keys.create("reader", Role.VIEWER, "test")
    client = TestClient(create_api(one.parts), headers={"Authorization": f"Bearer {text}"})
    (execution,) = one.executions(incident)
    assert "***" in execution.model_dump_json(), "the program did tell"
    for path in ("incidents", f"incidents/{incident}", f"executions/{execution.id}", "tickets/TCK-1", "audit",
                 "executions", "recommendations", "runbooks", "runbooks/tell"):  # fmt: skip
        with attack("API", path):
            assert_hidden(client.get(f"/v1/{path}?limit=100" if path == "audit" else f"/v1/{path}").text)
    for place, said in {"logs": caplog.text, "prompts": "\n".join(model.prompts)}.items():
        with attack(place):
            assert said
            assert_hidden(said)
            assert "canary" not in said
    one.stop()
    for file in sorted((tmp_path / "state").rglob("*")):
        if file.is_file():
            with attack("file", file.name):
                assert b"canary" not in file.read_bytes()


def http_target(**section: object) -> dict:
    return {"executors": {"http": {"targets": {"x": section}}}}


BAD_SETTINGS = {
    "value in place of a reference": {"signing_key": TOKEN},
    "model key of a wrong type": {"model_api_key": [TOKEN]},
    "value in a header": {
        "executors": {"http": {"targets": {"x": {"base_url": "http://x.test", "headers": {"A": TOKEN}}}}}
    },
    "value as a token": {
        "executors": {
            "http": {"targets": {"x": {"base_url": "http://x.test", "auth": {"kind": "bearer", "token": TOKEN}}}}
        }
    },
    "credentials in an address": {"executors": {"http": {"targets": {"x": {"base_url": f"http://u:{TOKEN}@x.test"}}}}},
    "ticket secret": {"ticketing": {"name": "webhook", "config": {"url": "http://x.test", "secret": TOKEN}}},
    "webhook secret": {"webhooks": {"ci": {"secret": TOKEN}}},
    "one of two webhook secrets": {"webhooks": {"ci": {"secret": ["env:PATH", TOKEN]}}},
    "webhook secret of a wrong type": {"webhooks": {"ci": {"secret": {"key": TOKEN}}}},
    "script secret": {"executors": {"script": {"programs": {"x": {"path": "/bin/true", "secrets": {"A": TOKEN}}}}}},
}


@pytest.mark.parametrize("name", BAD_SETTINGS)
def test_an_error_in_the_settings_does_not_tell_the_value(attack, installation, name, caplog):
    with attack("settings", name):
        with pytest.raises(SutureError) as refused:
            installation(**BAD_SETTINGS[name]).parts.approvals  # noqa: B018
        assert_hidden(str(refused.value))
        assert_hidden(caplog.text)


def test_a_database_that_cannot_be_reached_does_not_tell_the_password(attack, make_settings, monkeypatch):
    url = "postgresql://suture:canary-pass@127.0.0.1:1/suture"
    with attack("database"):
        with pytest.raises(SutureError) as refused:
            open_database(make_settings(database_url=url).database)
        assert "canary" not in str(refused.value)
    monkeypatch.setenv("SUTURE_DATABASE_URL", url)
    monkeypatch.setenv("SUTURE_MODEL_API_KEY", TOKEN)
    for command in (["config"], ["config", "--json"], ["incident", "list"], ["audit", "verify"]):
        with attack("command", *command):
            said = CliRunner().invoke(app, command)
            assert "canary" not in said.output + str(said.exception)


@pytest.mark.parametrize(
    "reference", [TOKEN, "env:", "file:relative", "file:/dev/zero", "file:/", "vault:x", "env:A B"]
)
def test_a_reference_that_cannot_be_resolved_is_not_repeated_where_it_may_be_the_secret(attack, reference):
    with attack("reference", reference):
        with pytest.raises(BadInput) as refused:
            resolve_secret(reference, {})
        assert TOKEN not in str(refused.value)


def test_a_model_provider_that_repeats_the_key(attack, target):
    target.answer = lambda got: (401, {"Content-Type": "application/json"}, json.dumps(
        {"error": {"message": f"wrong key: {got.headers['authorization']}", "type": "auth", "code": "401"}}
    ).encode())  # fmt: skip
    model = LiteLLMModel("openai/x", base_url=f"{target.url}/v1", api_key=TOKEN, timeout=timedelta(seconds=30))
    with attack("provider"):
        with pytest.raises(SutureError) as failed:
            model.ask(Question("s", "u"))
        assert_hidden(textwrap.dedent(str(failed.value)))
        assert failed.value.__cause__ is None


def test_settings_that_are_printed_have_masks(attack):
    settings = load_settings(model_api_key=TOKEN, database_url=f"postgresql://u:{TOKEN}@x/y")
    with attack("repr of the settings"):
        assert TOKEN not in repr(settings.model_api_key)
        assert TOKEN not in str(settings.model_dump(mode="json")["model_api_key"])
