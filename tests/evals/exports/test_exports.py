"""Exports of ticket and paging systems become labelled incidents by a map of the user's."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from runbooks import LIBRARY
from service.cli.main import app

EXAMPLES = Path(__file__).parents[3] / "examples" / "evaluation"
MAP = """\
id: Key
title: Summary
description: Text
severity: {from: Priority, map: {High: critical, Low: info}}
started_at: {from: Opened, time: "%d.%m.%Y %H:%M", zone: Europe/Berlin}
nothing_fits: {from: Closed as, is: [noise]}
gold:
  remediation: Remedy
"""
HEADER = "Key,Summary,Text,Priority,Opened,Closed as,Remedy\n"
ROW = "K-1,The disk is full,,High,31.01.2026 13:00,done,Delete old logs\n"


@pytest.fixture
def convert(tmp_path):
    def converted(content, text=MAP, name="export.csv"):
        (tmp_path / "map.yaml").write_text(text)
        export = tmp_path / name
        export.write_bytes(content if isinstance(content, bytes) else content.encode())
        return CliRunner().invoke(app, ["eval", "convert", str(export), "--map", str(tmp_path / "map.yaml")])

    return converted


def lines(done):
    assert done.exit_code == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("name", "incidents", "left_out"), [("servicenow.csv", 7, 1), ("jira.csv", 5, 2), ("pagerduty.jsonl", 4, 1)]
)
def test_the_examples_are_read(name, incidents, left_out):
    path = EXAMPLES / name
    done = CliRunner().invoke(
        app, ["eval", "convert", str(path), "--map", str(path.with_name(f"{path.stem}.map.yaml"))]
    )
    assert len(lines(done)) == incidents
    assert done.stderr.count("rows left out") == (2 if left_out == 2 else 1)


def test_the_example_of_servicenow_is_evaluated(tmp_path):
    for name in ("postgres-down", "service-down", "certificate-expired", "queue-backlog"):
        shutil.copy(LIBRARY / f"{name}.md", tmp_path)
    path, map_file = str(EXAMPLES / "servicenow.csv"), str(EXAMPLES / "servicenow.map.yaml")
    done = CliRunner().invoke(
        app, ["eval", "incidents", path, "--map", map_file, "--runbooks", str(tmp_path), "--json"]
    )
    assert done.exit_code == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["by_kind"]["action"]["n"] == 5
    assert report["abstention"]["nothing_fits"] == 2


def test_columns_value_maps_time_formats_and_the_truth(convert):
    noise = "K-2,Printer beeps,,Low,31.07.2026 13:00,Noise,\n"
    open_ = "K-3,Nobody knows,,Low,31.07.2026 13:00,,\n"
    done = convert(HEADER + ROW + noise + open_)
    first, second = lines(done)
    assert (first["severity"], first["gold"]) == ("critical", {"remediation": "Delete old logs"})
    assert first["started_at"].startswith("2026-01-31T13:00:00+01:00")
    assert second["gold"] is None
    assert second["started_at"].startswith("2026-07-31T13:00:00+02:00")
    assert "does not tell what was right (K-3)" in done.stderr


def test_templates_paths_fallbacks_and_parts(convert):
    text = """\
id: "PD-{{ number }}"
title: {from: [name, summary], cut: 9}
services: {from: owner.team, split: "/"}
labels: {first: tags.0.key, all: {from: tags, match: '"v(\\d+)"'}}
started_at: {from: at, time: unix_ms}
signals: [{kind: alert, name: {from: summary, match: '^\\w+'}, labels: {team: {text: core}}}]
gold: {runbook: {from: notes, map: {KB1: disk-full, KB2: null}, default: other}}
"""
    rows = [
        {"number": 7, "name": None, "summary": "DiskFull on log host", "owner": {"team": "a/b"}, "at": 1769860800000,
         "tags": [{"key": "v1"}], "notes": "kb1"},
        {"number": 8, "name": "x", "summary": "", "notes": "KB2"}, {"number": 9, "name": "y", "notes": "?"},
    ]  # fmt: skip
    first, second, third = lines(convert("\n".join(map(json.dumps, rows)), text, "rows.jsonl"))
    assert (first["id"], first["title"], first["services"]) == ("PD-7", "DiskFull ", ["a", "b"])
    assert first["labels"] == {"first": "v1", "all": "1"}
    assert first["signals"] == [{"kind": "alert", "name": "DiskFull", "labels": {"team": "core"}}]
    assert first["started_at"].startswith("2026-01-31T12:00:00")
    assert first["gold"] == {"runbook": "disk-full"}
    assert "signals" not in second
    assert [second["gold"], third["gold"]] == [{"runbook": "other"}] * 2


def test_what_jira_repeats_is_one_list(convert):
    text = "id: Key\ntitle: Key\nservices: Labels\ngold: {remediation: Key}\n"
    [row] = lines(convert("Key,Labels,Labels,Labels\nK-1,shop,,web\n", text))
    assert row["services"] == ["shop", "web"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (HEADER.replace("Priority", "Prio") + ROW, ":2: there is no column 'Priority'; the header has"),
        (HEADER + ROW.replace("High", "Urgent"), ":2: severity: the map has no value for 'Urgent'"),
        (HEADER + ROW + ROW.replace("K-1", "K-2").replace("31.01", "31.13"), ":3: started_at: '31.13.2026 13:00'"),
        (HEADER + ROW + ROW, ":3: the id 'K-1' stands at"),
        (HEADER, "the file holds no row"),
        ("", "the file holds no row"),
        (HEADER + ROW + "K-2,short\n", ":3: 2 fields, and the header has 7 columns"),
        (HEADER + 'K-1,"The disk\nis full"x,,High,31.01.2026 13:00,done,x\n', "not valid CSV"),
        (HEADER + ROW.replace("K-1", ""), ":2 $.id: is missing"),
        (HEADER + ROW.replace(",,High", f",{'x' * 10_000_000},High"), ":2 $.description"),
        (HEADER.encode() + b"K-1,\xff,,,,,\n", "is not utf-8-sig text"),
        (HEADER + ROW.replace("Delete old logs", ""), "no row is left: none has a truth"),
    ],
)
def test_a_bad_row_is_told_in_one_line(convert, content, words):
    done = convert(content)
    assert done.exit_code == 2
    assert words in done.stderr
    assert len(done.stderr) < 600
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("titel: Summary\n", "map.yaml:9: titel"), ("only: {from: Key, is: [K-9]}\n", "`only` holds for none"),
        ("detected_at: {from: Opened, zone: Mars}\n", "no time zone 'Mars'"),
        ("labels: {a: {map: {}}}\n", "either from or text"),
        ("labels: {a: {from: Key, match: '('}}\n", "no regular expression"), ("format: xml\n", "map.yaml:9: format"),
    ],
)  # fmt: skip
def test_a_bad_map_is_told_with_its_line(convert, change, words):
    done = convert(HEADER + ROW, MAP + change)
    assert done.exit_code == 2
    assert words in done.stderr


@pytest.mark.parametrize("line", ["[]", "{", '"x"'])
def test_json_lines_that_are_none(convert, line):
    done = convert('{"Key": "K-1"}\n' + line, "id: Key\ntitle: Key\ngold: {remediation: Key}\n", "x.jsonl")
    assert done.exit_code == 2
    assert "x.jsonl:2" in done.stderr


def test_an_export_without_its_map_or_with_an_unknown_ending(convert, tmp_path):
    assert "say `format:` in the map" in convert(HEADER + ROW, name="export.txt").stderr
    assert lines(convert(HEADER + ROW, MAP + "format: csv\n", name="export.txt"))
    (tmp_path / "rows.csv").write_text(HEADER + ROW)
    done = CliRunner().invoke(app, ["eval", "incidents", str(tmp_path / "rows.csv")])
    assert done.exit_code == 2
    assert "--map" in done.stderr
