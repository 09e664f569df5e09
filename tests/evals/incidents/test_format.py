import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from evals.incidents.format import schema_text
from evals.incidents.loading import load_incidents
from models.domain.errors import BadInput

ROW = {
    "id": "a", "title": "The database is down", "labels": {"process": "postgres"}, "started_at": "2026-01-31T12:00:00Z",
    "signals": [
        {"kind": "anomaly", "name": "pg_up down", "metric": "pg_up", "direction": "down", "value": 0,
         "at": "2026-01-31T12:00:05Z", "labels": {"service": "orders-db"}},
    ],
    "telemetry": {"series": [{"labels": {"__name__": "pg_up"}, "at": [1, 2.5], "values": [1, None]}]},
    "gold": {"runbook": "postgres-down", "action": "restart-database"},
}  # fmt: skip


@pytest.fixture
def write(tmp_path):
    def written(*rows):
        path = tmp_path / "rows.jsonl"
        path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
        return path

    return written


def test_a_row_is_the_incident_of_recommend_with_the_truth_beside_it(write):
    nothing = {"id": "b", "title": "Payroll is off", "gold": None, "telemetry": {"series": []}}
    first, second = load_incidents(write(ROW, "", nothing))
    incident = first.asked()
    assert first.moment == datetime(2026, 1, 31, 12, 0, 5, tzinfo=UTC)
    assert (incident.services, incident.signals[0].direction) == (("orders-db",), "down")
    assert incident.signals[0].anomaly.score == 1.0
    assert (first.gold.action, second.gold) == ("restart-database", None)
    assert second.moment == datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"gold": {}}, "$.gold: names no runbook"),
        ({"gold": {"action": "restart"}}, "$.gold"),
        ({"gold": {"remediation": ""}}, "$.gold.remediation"),
        ({"resolved_at": "2026-01-30T12:00:00Z"}, "resolved_at is before started_at"),
        ({"started_at": "yesterday"}, "$.started_at"),
        ({"description": "x" * 10_000_000}, "$.description"),
        ({"telemetry": {"series": [{"labels": {"__name__": "up"}, "at": [1], "values": []}]}}, "1 times and 0 values"),
        ({"telemetry": {"series": [{"labels": {}, "at": [], "values": []}]}}, "__name__"),
        ({"telemetry": {"series": [{"labels": {"__name__": "up"}, "at": [2, 1], "values": [0, 0]}]}}, "must rise"),
        ({"titel": "x"}, "$.titel"),
    ],
)
def test_what_is_wrong_is_told_with_line_and_path(write, change, words):
    path = write({**ROW, "id": "first"}, {**ROW, **change})
    with pytest.raises(BadInput) as raised:
        load_incidents(path)
    told = str(raised.value)
    assert told.startswith(f"{path}:2 ")
    assert words in told
    assert len(told) < 1000


def test_files_that_hold_no_rows(write, tmp_path):
    gold_left_out = {key: value for key, value in ROW.items() if key != "gold"}
    for rows, words in (
        ([], "holds no incident"), ([ROW, "{"], ":2: not valid JSON"), ([ROW, ROW], ":2: the id 'a' stands in line 1"),
        ([gold_left_out], "$.gold"), (["[]"], ":1 $"),
    ):  # fmt: skip
        with pytest.raises(BadInput, match=r"rows\.jsonl") as raised:
            load_incidents(write(*rows))
        assert words in str(raised.value)
    (tmp_path / "bytes.jsonl").write_bytes(b'{"id": "\xff"}\n')
    for name in ("none.jsonl", "bytes.jsonl", "."):
        with pytest.raises(BadInput, match=str(tmp_path)):
            load_incidents(tmp_path / name)


def test_the_schema_in_the_docs_is_current():
    committed = Path(__file__).parents[3] / "docs" / "labelled-incidents.schema.json"
    assert committed.read_text() == schema_text(), (
        "write it anew: suture eval schema > docs/labelled-incidents.schema.json"
    )
