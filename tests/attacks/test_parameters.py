"""Hostile values on their way from a label or a request to what acts: one value, one place, as it is, or not at all."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import promql_parser
import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.testclient import TestClient

from models.domain.base import utc_now
from models.domain.incident import Incident
from models.domain.runbook import Runbook
from runbooks.binding import VerbInputs, bind
from runbooks.queries import render_query, render_statement
from runbooks.templates import BadTemplate, render_url
from service.api import create_api
from service.executors.http import HttpExecutor
from service.executors.process_inputs import ProcessInputs
from service.executors.script import ScriptExecutor
from service.ports import Call, Context, ExecutorError
from service.security.secrets import resolve_secret
from service.store.keys import Role
from tests.attacks.payloads import TEMPLATES, VALUES

FAMILY = "parameters"
AT = datetime(2026, 1, 2, tzinfo=UTC)
CONTEXT = Context(clock=utc_now, secret=resolve_secret)
NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}"
HARMLESS = {"expression", "statement"}
"""Templates of the table that are allowed: arithmetic, and text that is marked as no template."""


class Free(BaseModel):
    name: str


CATALOGUE = {
    "ledger/write": VerbInputs(Free, lambda arguments: f"ledger:{arguments['name']}"),
    "process/restart": VerbInputs(ProcessInputs, lambda arguments: f"process:{arguments['name']}"),
}


def runbook(name: str, *, uses: str = "ledger/write", pattern: str | None = None) -> Runbook:
    parameter = {"type": "string", "from": "incident.labels.process"} | ({"pattern": pattern} if pattern else {})
    verify = [{"query": "up", "is": "== 1"}]
    action = {"id": "fix", "title": "Fix", "uses": uses, "with": {"name": name}, "verify": verify}
    return Runbook.model_validate(
        {"id": "shop", "title": "Shop", "parameters": {"process": parameter}, "actions": [action]}
    )


def incident(value: str) -> Incident:
    labels = {"process": value}
    return Incident(id="INC-1", title="x", labels=labels, started_at=AT, detected_at=AT, updated_at=AT)


@pytest.mark.parametrize("place", VALUES)
def test_a_label_becomes_an_argument_only_as_its_pattern_says(attack, place):
    value = VALUES[place]
    with attack("label to argument with a pattern", place):
        binding = bind([runbook("{{ process }}", pattern=f"^{NAME}$")], incident(value), CATALOGUE)
        assert bool(binding.candidates) == bool(re.fullmatch(NAME, value, re.ASCII))
        assert all(one.arguments == {"name": value} for one in binding.candidates)
    with attack("label to the name of a process", place):
        binding = bind([runbook("{{ process }}", uses="process/restart")], incident(value), CATALOGUE)
        for one in binding.candidates:
            assert one.arguments["name"] == value
            assert re.fullmatch(r"[A-Za-z0-9_.@:-]+", value, re.ASCII)
            assert not value.startswith("-")
    with attack("label within a text, without a pattern", place):
        binding = bind([runbook("pre-{{ process }}")], incident(value), CATALOGUE)
        assert all(one.arguments == {"name": f"pre-{value}"} for one in binding.candidates), "rendered once"
        assert not (binding.candidates and any(ord(character) < 32 for character in value))


@pytest.mark.parametrize("place", sorted(TEMPLATES.keys() - HARMLESS))
def test_a_template_of_a_runbook_reaches_nothing_and_costs_that_runbook_alone(attack, place):
    source = TEMPLATES[place]
    good = runbook("{{ process }}").model_copy(update={"id": "good"})
    for uses in ("ledger/write", "process/restart"):
        with attack("template in an argument", place, uses):
            began = time.process_time()
            binding = bind([runbook(source, uses=uses), good], incident("shop"), CATALOGUE)
            assert [one.runbook for one in binding.candidates] == ["good"]
            assert [one.runbook for one in binding.dropped] == ["shop"]
            assert time.process_time() - began < 1
    for render in (render_query, render_statement, render_url):
        with attack("template in a check", place, render.__name__), pytest.raises(BadTemplate):
            render(f"x{source}", {"x": "shop"})


@pytest.mark.parametrize("place", VALUES)
def test_a_value_in_a_query_or_an_address_stays_in_its_place(attack, place):
    value = VALUES[place]
    for mark in ('"', "'", "`"):
        with attack("equal in PromQL", place, mark):
            for matcher in matchers(f"up{{process={mark}{{{{ x }}}}{mark}}}", value):
                assert matcher.value == value
        with attack("expression in PromQL", place, mark):
            for matcher in matchers(f"up{{process=~{mark}{{{{ x }}}}{mark}}}", value):
                assert re.fullmatch(matcher.value, value), "a literal of the expression"
                assert matcher.value == re.escape(value)
    with attack("bare in PromQL", place):
        for query in rendered(render_query, "rate(up[{{ x }}])", value):
            assert re.fullmatch(r"rate\(up\[[a-zA-Z0-9_:]+\]\)", query)
    with attack("statement of SQL", place):
        for statement in rendered(render_statement, "shop/{{ x }}".replace("/", "."), value):
            assert re.fullmatch(r"[A-Za-z0-9_.-]+", statement)
    with attack("address of a check", place):
        for address in rendered(render_url, "http://check.test/a/{{ x }}/ok?q={{ x }}", value):
            parts = urlsplit(address)
            assert (parts.netloc, parts.fragment) == ("check.test", "")
            assert [unquote(part) for part in parts.path.split("/")] == ["", "a", value, "ok"]
            assert parse_qs(parts.query, keep_blank_values=True) == {"q": [value]}


def rendered(render: Any, source: str, value: str) -> Iterator[str]:
    try:
        yield render(source, {"x": value})
    except BadTemplate:
        return


def matchers(source: str, value: str) -> Iterator[Any]:
    for query in rendered(render_query, source, value):
        parsed = promql_parser.parse(query)
        assert type(parsed).__name__ == "VectorSelector", "one selector, as it was written"
        (matcher,) = parsed.matchers.matchers
        yield matcher


RECORDER = """#!/bin/sh
for each in "$@"; do printf '%s\\0' "$each"; done > {record}
"""


@pytest.fixture
def recorder(tmp_path):
    """A program that writes down the arguments that reach it, under two names: free arguments, and the default."""
    folder = tmp_path / "bin"
    folder.mkdir(mode=0o755)
    record = folder / "record"
    program = folder / "recorder"
    program.write_text(RECORDER.format(record=record))
    program.chmod(0o755)
    programs = {"free": {"path": str(program), "args_pattern": "(?s).*"}, "plain": {"path": str(program)}}
    return ScriptExecutor.build({"programs": programs}, CONTEXT), record


def arguments_of(record: Path) -> list[str] | None:
    if not record.exists():
        return None
    found = record.read_bytes().decode("utf-8", "surrogateescape").split("\0")[:-1]
    record.unlink()
    return found


@pytest.mark.parametrize("program", ["free", "plain"])
def test_a_program_gets_each_argument_as_it_is_and_no_shell_reads_it(attack, recorder, program, tmp_path):
    executor, record = recorder
    for place, value in VALUES.items():
        with attack("argument of a program", program, place):
            call = Call("k", "run", {"program": program, "args": ["--", value]}, timedelta(seconds=5))
            if program == "plain":
                call = Call("k", "run", {"program": program, "args": [value]}, timedelta(seconds=5))
            try:
                executor.act(call)
            except ExecutorError:
                assert arguments_of(record) is None, "what is refused does not run"
            else:
                assert arguments_of(record) == list(call.arguments["args"])
                assert program == "free" or re.fullmatch(r"[A-Za-z0-9_.,:=@%+/][A-Za-z0-9_.,:=@%+/-]*", value)
    assert not Path("/tmp/owned").exists()


OPERATION = {
    "method": "POST", "path": "/items/{{ name }}/restart", "query": {"q": "{{ name }}"},
    "body": {"name": "{{ name }}", "fixed": "yes"}, "parameters": {"name": {"type": "string"}},
}  # fmt: skip


def test_a_request_keeps_its_form_whatever_its_parameter_is(attack, target):
    config = {"base_url": f"{target.url}/api", "private": True, "operations": {"restart": OPERATION}}
    executor = HttpExecutor.build({"targets": {"shop": config}}, CONTEXT)
    for place, value in VALUES.items():
        target.reached.clear()
        arguments = {"target": "shop", "operation": "restart", "parameters": {"name": value}}
        with attack("parameter of a request", place):
            try:
                executor.act(Call("k", "call", arguments, timedelta(seconds=5)))
            except ExecutorError:
                assert target.reached == [], "what is refused is not sent"
                continue
            (got,) = target.reached
            parts = urlsplit(got.path)
            assert got.method == "POST"
            assert [unquote(part) for part in parts.path.split("/")] == ["", "api", "items", value, "restart"]
            assert parse_qs(parts.query, keep_blank_values=True) == {"q": [value]}
            assert json.loads(got.body) == {"name": value, "fixed": "yes"}
            assert "x-admin" not in got.headers


@pytest.mark.parametrize("field", ["target", "path", "query"])
def test_a_plain_request_stays_below_its_base_address(attack, target, field):
    executor = HttpExecutor.build({"targets": {"shop": {"base_url": f"{target.url}/api", "private": True}}}, CONTEXT)
    for place, value in VALUES.items():
        target.reached.clear()
        given: dict[str, Any] = {"target": "shop", "path": "/x"}
        given |= {"target": {"target": value}, "path": {"path": f"/{value}"}, "query": {"query": {"q": value}}}[field]
        with attack(f"{field} of a plain request", place):
            try:
                executor.act(Call("k", "get", given, timedelta(seconds=5)))
            except ExecutorError:
                assert target.reached == []
                continue
            (got,) = target.reached
            assert got.path.startswith("/api/")
            assert ".." not in unquote(unquote(urlsplit(got.path).path)).split("/")


def patterned_fields() -> dict[str, TypeAdapter[Any]]:
    """Every input of every verb that is a name, once for each way in which names are checked."""
    found: dict[str, TypeAdapter[Any]] = {}
    for entry in entry_points(group="suture.executors"):
        for verb in entry.load().verbs.values():
            properties = verb.inputs.model_json_schema()["properties"]
            for name, info in verb.inputs.model_fields.items():
                pattern = properties[info.alias or name].get("pattern")
                # These are looked up in the settings, or asked of an API: no command line reads them.
                looked_up = name in ("path", "server", "cluster", "function", "qualifier", "alias")
                if pattern and not looked_up:
                    key = f"{pattern}{properties[info.alias or name].get('maxLength')}"
                    found[key] = TypeAdapter(Annotated[info.annotation, *info.metadata])
    return found


def test_the_names_that_executors_take_are_plain_words(attack):
    fields = patterned_fields()
    assert len(fields) >= 8
    for pattern, adapter in fields.items():
        for place, value in VALUES.items():
            with attack("input of a verb", pattern, place):
                try:
                    adapter.validate_python(value)
                except ValidationError:
                    continue
                assert re.fullmatch(r"[A-Za-z0-9_.$][A-Za-z0-9_.:@$-]*", value, re.ASCII)


REQUESTS = (
    ("GET", "/v1/incidents/{}"),
    ("GET", "/v1/executions/{}"),
    ("GET", "/v1/executions?incident={}"),
    ("GET", "/v1/runbooks/{}"),
    ("GET", "/v1/tickets/{}"),
    ("GET", "/v1/incidents?cursor={}"),
    ("DELETE", "/v1/keys/{}"),
    ("POST", "/v1/executions/{}/approval"),
)


def test_the_api_takes_a_value_as_a_value_or_refuses_it(attack, installation, database_url):
    # PostgreSQL differs where characters are concerned that it does not store: those are tried on both.
    stored = database_url.startswith("sqlite")
    values = VALUES if stored else {k: v for k, v in VALUES.items() if not v.isprintable() or not v.isascii()}
    parts = installation(database_url=database_url).parts
    _, text = parts.keys.create("attacker", Role.ADMIN, "test")
    client = TestClient(create_api(parts), raise_server_exceptions=False)
    client.headers["Authorization"] = f"Bearer {text}"
    for place, value in values.items():
        for method, path in REQUESTS:
            with attack(method, path, place):
                body = {"approved": True} if method == "POST" else None
                status = client.request(method, path.format(quote(value, safe="")), json=body).status_code
                assert status in (200, 400, 404, 405, 409, 422)
        with attack("signal", place):
            signal = {
                "kind": "alert",
                "name": value or "x",
                "labels": {"service": value[:200], value[:200] or "x": value},
            }
            signal |= {"text": value, "source": value[:200] or "x", "metric": value[:200] or "x"}
            assert client.post("/v1/signals", json=[signal]).status_code in (202, 422)
    assert client.post("/v1/signals", content=b'[{"kind": "alert", "name": "\\ud800"}]').status_code in (400, 415, 422)
    assert parts.audit.verify().breaks == ()
