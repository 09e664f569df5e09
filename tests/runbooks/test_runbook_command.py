from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner

from service.cli import runbook
from service.cli.main import Root

INCIDENT = {
    "title": "shop is down",
    "services": ["shop"],
    "labels": {"process": "shop"},
    "signals": [{"kind": "alert", "name": "ShopDown", "labels": {"service": "shop"}}],
}


@pytest.fixture
def run():
    app = typer.Typer(cls=Root, pretty_exceptions_enable=False)
    app.add_typer(runbook.app, name="runbook")

    def run(*arguments: object):
        return CliRunner().invoke(app, ["runbook", *(str(argument) for argument in arguments)])

    return run


def test_new_lints_clean_and_overwrites_nothing(run, tmp_path):
    assert run("new", "cache-cold", "--dir", tmp_path).exit_code == 0
    assert run("lint", tmp_path).exit_code == 0
    again = run("new", "cache-cold", "--dir", tmp_path)
    assert (again.exit_code, len(again.stderr.splitlines())) == (2, 1)
    assert "the file exists" in again.stderr
    assert run("new", "Not An Id", "--dir", tmp_path).exit_code == 2
    assert run("new", "x", "--dir", tmp_path / "absent").exit_code == 2


def test_lint_says_file_line_and_mend(run, write, good, tmp_path):
    path = write("restart-it.md", good.replace("process/restart", "process/restrt"))
    result = run("lint", tmp_path)
    assert result.exit_code == 1
    assert result.stdout == f"{path}:15: error: there is no process/restrt; did you mean process/restart?\n"
    assert result.stderr == "1 error, 0 warnings\n"
    found = json.loads(run("lint", tmp_path, "--json").stdout)
    assert (found["errors"], found["findings"][0]["line"]) == (1, 15)
    assert run("lint", tmp_path / "absent").exit_code == 2


def test_test_shows_the_plan(run, write, good, tmp_path):
    text = good.replace('signal.kind == "anomaly"', 'signal.name == "ShopDown" || signal.kind == "anomaly"')
    file = write("restart-it.md", text)
    recorded = write("incident.json", json.dumps(INCIDENT))
    plan = json.loads(run("test", file, "--incident", recorded, "--json").stdout)
    assert plan["applies"]
    assert [match["name"] for match in plan["matched"]] == ["ShopDown"]
    assert [candidate["arguments"] for candidate in plan["candidates"]] == [{"name": "shop", "server": "default"}]
    words = run("test", file, "--incident", recorded)
    assert words.exit_code == 0
    assert '{"name": "shop", "server": "default"} on process:shop' in words.stdout
    dropped = write("incident.json", json.dumps(INCIDENT | {"labels": {"process": "a; b"}}))
    assert (
        "dropped restart: parameter process: 'a; b' does not match" in run("test", file, "--incident", dropped).stdout
    )
    other = write("incident.json", json.dumps(INCIDENT | {"services": ["web"]}))
    assert "does not apply" in run("test", file, "--incident", other).stdout


@pytest.mark.parametrize("content", ["{", '{"title": ""}', "[]"])
def test_test_refuses_bad_input_in_one_line(run, write, good, content):
    file = write("restart-it.md", good)
    result = run("test", file, "--incident", write("incident.json", content))
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)


def test_a_malformed_runbook_is_refused_with_its_line(run, write, good):
    file = write("restart-it.md", good.replace("hold: 5s", "hold: x"))
    result = run("test", file, "--incident", write("incident.json", json.dumps(INCIDENT)))
    assert (result.exit_code, f"{file}:21: " in result.stderr) == (2, True)


def test_list_shows_documents_and_problems(run, write, good, tmp_path):
    write("restart-it.md", good)
    write("broken.md", "---\nid: [\n---\n")
    result = run("list", tmp_path)
    assert result.exit_code == 0
    assert "restart-it  It is down  (restart)" in result.stdout
    assert "broken.md:3:" in result.stderr or "broken.md:2:" in result.stderr
    listed = json.loads(run("list", tmp_path, "--json").stdout)
    assert {document["id"]: document["actions"] for document in listed["documents"]} == {
        "broken": [],
        "restart-it": ["restart"],
    }
    assert len(listed["problems"]) == 1
    assert len(json.loads(run("list", "--json").stdout)["documents"]) >= 14
