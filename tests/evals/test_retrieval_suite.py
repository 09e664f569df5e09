from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from evals.retrieval import run_retrieval
from models.domain.errors import BadInput

DATA = Path(os.environ.get("SUTURE_DATA", Path(__file__).parents[2] / "../shared/data"))


@pytest.fixture
def corpus(tmp_path) -> Path:
    folder = tmp_path / "runbooks"
    folder.mkdir()
    (folder / "DiskFull.md").write_text("# DiskFull\n\nA volume has no space left. Rotate the logs.\n")
    (folder / "CertExpired.md").write_text(
        "---\nid: certificate\ntitle: Certificate expired\n---\nIssue a TLS certificate.\n"
    )
    (folder / "PodCrash.md").write_text("# PodCrash\n\nThe container restarts again and again.\n")
    return folder


@pytest.fixture
def alerts(tmp_path):
    def write(*rows) -> Path:
        file = tmp_path / "alerts.jsonl"
        file.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + "\n")
        return file

    return write


def row(id_, gold, **fields):
    return {"id": id_, "alert": "X", "summary": "s", "description": "d", "gold_runbook": gold, **fields}


def test_figures_and_rows(corpus, alerts):
    file = alerts(
        row("1", "DiskFull", summary="No space left on a volume."),
        "",
        row("2", "CertExpired", summary="TLS certificate expires {{ $value }}"),
        row("3", "DiskFull", summary="The container restarts again"),
        row("4", None),
    )
    result = run_retrieval(file, corpus, "desc")
    assert [(r["id"], r["gold"]) for r in result["rows"]] == [
        ("1", "DiskFull"),
        ("2", "CertExpired"),
        ("3", "DiskFull"),
    ]
    assert [r["ranked"][0] for r in result["rows"]] == ["DiskFull", "CertExpired", "PodCrash"]
    assert all(sorted(r["ranked"]) == ["CertExpired", "DiskFull", "PodCrash"] for r in result["rows"])
    place = result["rows"][2]["ranked"].index("DiskFull") + 1
    assert result["n"] == 3
    assert result["recall_at_1"] == pytest.approx(2 / 3)
    assert result["recall_at_3"] == result["recall_at_5"] == 1
    assert result["mrr"] == pytest.approx((1 + 1 + 1 / place) / 3)


def test_modes_ask_for_what_they_say(corpus, alerts):
    file = alerts(row("1", "PodCrash", alert="PodCrash", summary="", description=".", expr="disk_full_volume > 1"))
    first = {mode: run_retrieval(file, corpus, mode)["rows"][0]["ranked"][:1] for mode in ("name", "expr")}
    assert first == {"name": ["PodCrash"], "expr": ["DiskFull"]}
    assert run_retrieval(file, corpus, "desc")["rows"][0]["ranked"]
    with pytest.raises(BadInput, match="no mode 'title'"):
        run_retrieval(file, corpus, "title")


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ("{", "not JSON"),
        ("[1]", "the row"),
        ('{"alert": "x"}', "id: Field required"),
        ('{"id": "a", "summary": 3}', "summary"),
        ('{"id": "a", "gold_runbook": "Nope"}', "'Nope' is not the stem"),
    ],
)
def test_a_bad_row_is_named_by_file_and_line(bad, problem, corpus, alerts):
    with pytest.raises(BadInput, match=rf"alerts\.jsonl:2: .*{problem}"):
        run_retrieval(alerts(row("1", "DiskFull"), bad), corpus, "desc")


def test_missing_files_are_named(corpus, tmp_path, alerts):
    with pytest.raises(BadInput, match=r"none\.jsonl: the alerts cannot be read"):
        run_retrieval(tmp_path / "none.jsonl", corpus, "desc")
    with pytest.raises(BadInput, match=r"none: this is not a folder of runbooks"):
        run_retrieval(alerts(), tmp_path / "none", "desc")


@pytest.mark.needs_data
@pytest.mark.skipif(not DATA.is_dir(), reason="no labelled data: set SUTURE_DATA")
@pytest.mark.parametrize(("mode", "least"), [("name", 0.99), ("desc", 0.94), ("expr", 0.97)])
def test_recall_on_public_alerts(mode, least):
    result = run_retrieval(DATA / "alerts/kube-prometheus.jsonl", DATA / "runbooks/prometheus-operator", mode)
    assert result["n"] == 112
    assert all(len(r["ranked"]) == 10 for r in result["rows"])
    assert result["recall_at_1"] >= least
    assert result["recall_at_3"] >= 0.99
