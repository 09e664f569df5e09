"""The sample of recorded incidents that ships with the repository can be judged as the docs say."""

import json
from pathlib import Path

from typer.testing import CliRunner

from service.cli.main import app

ROOT = Path(__file__).resolve().parents[3]
SAMPLE = ROOT / "examples" / "incidents-labelled.jsonl"
BOOKS = ("runbooks/library", "evals/sandbox/runbooks", "evals/sandbox/causes")


def test_the_sample_is_judged_with_the_topology_beside_it():
    books = [part for folder in BOOKS for part in ("--runbooks", str(ROOT / folder))]
    done = CliRunner().invoke(app, ["eval", "incidents", str(SAMPLE), *books, "--json"])
    assert done.exit_code == 0, done.stderr
    report = json.loads(done.stdout)
    rows = [json.loads(line) for line in SAMPLE.read_text().splitlines()]
    assert report["judged"] == len(rows) > 4
    assert {row["source"] for row in rows} == {"suture sandbox"}
    assert report["culprit"]["n"] > 0, "the topology is what tells where a failure began"
