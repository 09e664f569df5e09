"""`suture eval all`: one page that a manager understands, whole in itself."""

import json
import os
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evals.reporting.incidents import incidents_section
from evals.reporting.others import culprit_section, ranking_section
from evals.reporting.page import render
from evals.reporting.retrieval import retrieval_section
from service.cli.main import app
from tests.evals.incidents.rows import row

ROOT = Path(__file__).resolve().parents[3]
RANKING = {
    "n": 2, "top1": 0.5, "top1_all": 0.5, "mrr": 0.75, "ece": 0.1, "notes": ["<a note>"],
    "rows": [
        {"id": "<one>", "top1": 1.0, "reciprocal_rank": 1.0, "ranked": [{"id": "a", "probability": 0.8}]},
        {"id": "<two>", "top1": 0.0, "reciprocal_rank": 0.5, "ranked": [{"id": "b", "probability": 0.6}]},
    ],
}  # fmt: skip
RETRIEVAL = {
    "n": 2, "recall_at_1": 0.5, "recall_at_3": 1.0, "recall_at_5": 1.0, "mrr": 0.75,
    "rows": [{"id": "a", "gold": "x", "ranked": ["x"]}, {"id": "b", "gold": "y", "ranked": ["x", "y"]}],
}  # fmt: skip
CULPRIT = {
    "n": 1, "top1": 0.0, "top3": 1.0, "notes": [],
    "rows": [{"issue": "low/train/1", "gold": "x", "hit1": 0.0, "hit3": 1.0, "ranked": [{"node": "y", "score": 1}]}],
}  # fmt: skip


def evaluate(*arguments):
    return CliRunner().invoke(app, ["eval", *map(str, arguments)])


def figures_of(page):
    return re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)


def test_the_page_is_whole_in_itself_and_shows_what_others_wrote_as_text():
    sections = [
        ranking_section(RANKING, "suture eval ranking"), culprit_section(CULPRIT, "suture eval culprit"),
        retrieval_section({"name": RETRIEVAL, "desc": RETRIEVAL}, "suture eval retrieval"),
    ]  # fmt: skip
    page = render(sections, {"detection": "there is no <data>"}, {"made": "now"}, title="T", command="suture eval all")
    assert len(figures_of(page)) == 5
    for figure in figures_of(page):
        ET.fromstring(figure)
    for text in ("&lt;two&gt;", "&lt;a note&gt;", "no &lt;data&gt;"):
        assert text in page
    for other in ("<script", "src=", "<link", "@import", "<two>"):
        assert other not in page
    assert set(re.findall(r'(?<!:)href="([^"]{1})', page)) == {"#"}
    identifiers = re.findall(r'\bid="([^"]+)"', page)
    assert len(identifiers) == len(set(identifiers)), "the parts of two plots must not be taken for each other"
    assert "came first in 1 of 2" in page
    assert "<code>suture eval ranking</code>" in page


@pytest.fixture
def incidents(write_rows, two_books):
    rows = [
        row("down", "DatabaseDown", {"runbook": "database-down"}, text="The database refuses connections"),
        row("<full>", "DatabaseDown", {"runbook": "queue-full"}, text="The <b>queue</b> of orders grows"),
        row("payroll", "PayrollOff", None, text="Totals are off by one cent"),
    ]
    return write_rows(rows), two_books


def test_a_run_on_incidents_is_told_in_plain_words(incidents, tmp_path):
    path, books = incidents
    out = tmp_path / "out"
    done = evaluate("incidents", path, "--runbooks", books, "--out", out)
    assert done.exit_code == 0, done.stderr
    page = (out / "report.html").read_text()
    assert "stood first in 1 of 2 incidents: 50\u00a0%" in page
    assert "nothing in the runbooks fits: it rightly said so for 1" in page
    assert "percentage points on average" in page
    assert "Misses: 1 of 3" in page
    assert "&lt;full&gt;" in page
    assert "<b>queue" not in page
    assert len(figures_of(page)) == 4


def test_a_run_without_anything_to_plot_has_its_section():
    empty = {
        "n": 1, "judged": 0, "correct": None, "top1": None, "top3": None, "mrr": None, "ece": None, "ece_top": None,
        "brier_top": None, "calibration": [], "confusion": [], "culprit": None, "model": None, "notes": [], "rows": [],
        "selective": {"threshold": 0.25, "curve": []}
        | dict.fromkeys(("coverage", "precision", "aurc", "promise"), None),
        "abstention": dict.fromkeys(("recall", "needless", "precision", "auroc"), None)
        | {"nothing_fits": 0, "something_fits": 0},
        "latency": {"p50_ms": 1.0, "p99_ms": 2.0}, "intervals": {"of": {}},
    }  # fmt: skip
    html = incidents_section(empty, "Empty", "suture eval incidents").html()
    assert "not put to the test" in html
    assert "not measured" in incidents_section(empty, "Empty", "").headline[0]


def test_eval_all_runs_what_has_data_and_says_what_has_none(incidents, tmp_path):
    path, books = incidents
    nab = tmp_path / "data" / "nab" / "data" / "tiny"
    nab.mkdir(parents=True)
    rows = "".join(f"2026-01-01 {n // 60:02}:{n % 60:02}:00,{n % 7}\n" for n in range(400))
    (nab / "a.csv").write_text("timestamp,value\n" + rows)
    out = tmp_path / "out"
    done = evaluate(
        "all", "--data", tmp_path / "data", "--incidents", path, "--runbooks", books, "--out", out, "--json"
    )
    assert done.exit_code == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["results"]["detection"]["rows"] == 400
    assert answer["results"]["incidents (rows.jsonl)"]["n"] == 3
    assert "itbench" in answer["skipped"]["ranking"]
    assert (out / "detection" / "tiny" / "suture_a.csv").is_file()
    page = (out / "report.html").read_text()
    assert "<h2>Not run</h2>" in page
    # In or beside the checkout, paths are written from it.
    shown, from_books = (os.path.relpath(p, ROOT) if p.is_relative_to(ROOT.parent) else p for p in (path, books))
    assert f"suture eval incidents {shown} --runbooks {from_books}" in page


def test_eval_all_without_any_data_is_bad_input(tmp_path):
    done = evaluate("all", "--data", tmp_path, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert "SUTURE_DATA" in done.stderr
    assert not (tmp_path / "out").exists()
    done = evaluate("all", "--incidents", tmp_path / "none.jsonl", "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert "none.jsonl is not a file" in done.stderr


@pytest.mark.parametrize(
    ("guaranteed", "words"),
    [
        (None, "takes at least 45 answers, all of them right"),
        ({"threshold": 0.8, "coverage": 0.6}, "or more of the recommendations are right for incidents like these"),
    ],
)
def test_what_may_be_promised_is_told_in_words(tmp_path, guaranteed, words):
    path = tmp_path / "rows.jsonl"
    rows = [row("a", "ShopDown", {"remediation": "Restart it"}), row("b", "DiskFull", {"remediation": "Free the disk"})]
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    report = json.loads(evaluate("incidents", path, "--json").stdout)
    report["selective"]["promise"]["guaranteed"] = guaranteed
    assert words in incidents_section(report, "Incidents", "c").html()
