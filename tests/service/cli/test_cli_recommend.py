import json
import subprocess
import sys
from pathlib import Path

import pytest

RUNBOOK = """\
---
id: shop-down
title: The shop does not answer
services: [shop]
triggers:
  - signal.kind == "alert" && signal.name == "ShopDown"
parameters:
  process: {type: string, from: incident.labels.process, pattern: "^[a-z]+$"}
actions:
  - id: restart-shop
    title: Restart the shop
    uses: process/restart
    with: {name: "{{ process }}"}
    risk: low
    reversible: true
    verify:
      - {query: 'up{process="{{ process }}"}', is: "== 1", within: 30s, hold: 5s}
---
# The shop does not answer

## Mitigation

Restart the process of the shop; it needs a few seconds to answer again.
"""
LABELS = {"service": "shop", "process": "shop", "environment": "sandbox"}
INCIDENT = {
    "title": "The shop does not answer",
    "labels": LABELS,
    "signals": [{"kind": "alert", "name": "ShopDown", "labels": LABELS, "text": "up is 0"}],
}
UNKNOWN = {"title": "Payroll totals are off by one cent", "services": ["payroll"]}


@pytest.fixture
def books(tmp_path):
    folder = tmp_path / "books"
    folder.mkdir()
    (folder / "shop-down.md").write_text(RUNBOOK)
    (folder / "broken.md").write_text("---\nid: [\n---\n")
    return folder


def test_a_covered_incident_and_one_that_is_not(suture, books, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "incident.json"
    file.write_text(json.dumps(INCIDENT))
    done = suture("recommend", "--incident", str(file), "--runbooks", str(books), "--json")
    assert done.exit_code == 0, done.stderr
    assert "broken.md:" in done.stderr
    answer = json.loads(done.stdout)
    assert answer["abstained"] is None
    assert answer["model"] is None
    best = answer["candidates"][0]
    assert (best["runbook"], best["action"], best["risk"]) == ("shop-down", "restart-shop", "low")
    assert best["parameters"] == {"process": "shop"}
    assert best["decision"]["verdict"] == "needs_approval"
    for citation in best["citations"]:
        assert RUNBOOK[citation["start"] : citation["end"]] == citation["quote"]
    assert not (tmp_path / "suture-state").exists()

    other = suture("recommend", "--incident", "-", "--runbooks", str(books), "--json", stdin=json.dumps(UNKNOWN))
    assert other.exit_code == 0
    assert json.loads(other.stdout)["abstained"]["reason"]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"title": "x",\n "signals": [}', "incident.json:2"),
        ('{"title": "x", "signals": [{"kind": "alert"}]}', "$.signals[0].name"),
        ('{"title": "x", "servces": []}', "$.servces"),
        ('{"title": "x", "started_at": "yesterday"}', "$.started_at"),
        ('{"title": "x", "started_at": "0001-01-01T00:00:00+14:00"}', "$.started_at"),
        ('{"title": "x", "signals": [{"kind": "alert", "name": "y", "value": NaN}]}', "$.signals[0].value"),
        ("[]", "$:"),
        ("", "incident.json:1"),
        ("[" * 100_000, "incident.json"),
    ],
)
def test_a_bad_incident_file_is_told_where(suture, tmp_path, text, place):
    file = tmp_path / "incident.json"
    file.write_text(text)
    done = suture("recommend", "--incident", str(file), "--json")
    assert done.exit_code == 2
    assert place in done.stderr
    assert done.stdout == ""


def test_files_that_cannot_be_read(suture, tmp_path):
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    for name in ("missing.json", "bytes.json", "."):
        done = suture("recommend", "--incident", str(tmp_path / name))
        assert done.exit_code == 2
        assert done.stderr.count("\n") == 1
    done = suture("recommend", "--incident", "-", "--runbooks", str(tmp_path / "none"), stdin="{}")
    assert done.exit_code == 2


def test_it_loads_only_what_it_needs(books, tmp_path):
    """Each of these takes a tenth of a second or more to import, on every run."""
    (tmp_path / "incident.json").write_text(json.dumps(INCIDENT))
    arguments = ["suture", "recommend", "--incident", str(tmp_path / "incident.json"), "--runbooks", str(books)]
    code = (
        f"import sys; sys.argv = {arguments!r}\n"
        "from service.cli.main import run\n"
        "try: run()\n"
        "except SystemExit as end: assert not end.code\n"
        "heavy = {'chromadb', 'sqlalchemy', 'alembic', 'scipy', 'sklearn', 'pandas', 'dbos', 'fastapi', 'litellm'}\n"
        "assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3], timeout=60)


def test_where_nothing_fits_a_person_gets_a_plan_that_is_not_executable(suture, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "plain"
    folder.mkdir()
    text = "# The report of the payroll is late\n\n## Diagnosis\n\n- Look at the payroll totals of the last run.\n"
    (folder / "payroll-report.md").write_text(text)
    for number, word in enumerate(("disk", "cache", "queue", "certificate", "backup", "router", "printer", "lift") * 3):
        # Words are telling only beside documents without them.
        (folder / f"other-{number}.md").write_text(f"# The {word} of building {number}\n\nCall the {word} team.\n")
    (tmp_path / "incident.json").write_text(
        json.dumps({"title": "The report of the payroll is late", "services": ["p"]})
    )
    asked = ("recommend", "--incident", "incident.json", "--runbooks", str(folder))
    answer = json.loads(suture(*asked, "--json").stdout)
    assert answer["abstained"]
    (step,) = answer["advice"]
    assert step["text"] == "Look at the payroll totals of the last run."
    assert (step["executable"], step["source"]) == (False, "runbook")
    (citation,) = step["citations"]
    assert text[citation["start"] : citation["end"]] == citation["quote"]
    shown = suture(*asked).stdout
    assert "Suture executes none of it" in shown
    assert "1. Look at the payroll totals of the last run. (payroll-report," in shown
