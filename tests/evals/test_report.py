import json
import xml.etree.ElementTree as ET

from typer.testing import CliRunner

from evals.report import render
from service.cli.main import app

RESULT = {
    "n": 4, "top1": 0.5, "rows": [{"id": 1}], "notes": ["<a note>"],
    "selective": [
        {"threshold": 0.1, "coverage": 1.0, "precision": 0.5}, {"threshold": 1, "coverage": 0, "precision": 0},
    ],
}  # fmt: skip


def test_the_report_shows_figures_and_plots_and_loads_nothing():
    page = render({"ranking": RESULT}, {"culprit": "no <data>"}, title="Evaluation")
    assert "<td>top1</td><td>0.5</td>" in page
    assert page.count("<svg") == 2
    assert "&lt;a note&gt;" in page
    assert "no &lt;data&gt;" in page
    assert "src=" not in page
    assert "href=" not in page
    for part in page.split("<svg")[1:]:
        ET.fromstring("<svg" + part.split("</svg>")[0] + "</svg>")


def test_eval_all_runs_what_has_data_and_says_what_has_none(tmp_path):
    nab = tmp_path / "data" / "nab" / "data" / "tiny"
    nab.mkdir(parents=True)
    rows = "".join(f"2026-01-01 {n // 60:02}:{n % 60:02}:00,{n % 7}\n" for n in range(400))
    (nab / "a.csv").write_text("timestamp,value\n" + rows)
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["eval", "all", "--data", str(tmp_path / "data"), "--out", str(out), "--json"])
    assert done.exit_code == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["results"]["detection"]["rows"] == 400
    assert "itbench" in answer["skipped"]["ranking"]
    assert (out / "detection" / "tiny" / "suture_a.csv").is_file()
    assert "ranking" in (out / "report.html").read_text()


def test_eval_all_without_any_data_is_bad_input(tmp_path):
    done = CliRunner().invoke(app, ["eval", "all", "--data", str(tmp_path), "--out", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert "SUTURE_DATA" in done.stderr
