from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from evals.calibration import calibration_error, place, selective
from evals.labelled import load_labelled
from evals.model_skill import Judged, earned_weight, measure_skill
from evals.offers import offered, similarities
from evals.ranking import run_ranking
from evals.ranking_remedies import cross_validate, load_sets
from models.domain.errors import BadInput, Unavailable
from models.language.transport import Reply

DATA = Path(os.environ.get("SUTURE_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
FAULTS = DATA / "itbench" / "faults.jsonl"

needs_data = pytest.mark.needs_data
SUBJECTS = ["certificate", "disk", "queue", "memory", "connection", "replica"]


def row(subject: str, **fields) -> dict:
    own = [[{"text": f"Mend the {subject} at once."}, {"text": "Tell the owner."}]]
    shared = [[{"text": "Revert the last change."}]]
    base = {"id": subject, "symptoms": f"The {subject} is exhausted.", "signals": [], "gold_variants": shared + own}
    return base | fields


@pytest.fixture
def file(tmp_path):
    def write(rows) -> Path:
        path = tmp_path / "incidents.jsonl"
        path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in rows))
        return path

    return write


def test_the_remediation_is_the_first_that_no_other_row_has(file):
    shared_only = row("twin", gold_variants=[[{"text": "Revert the last change."}]])
    found = load_labelled(file([row("disk"), shared_only, row("queue")]))
    assert [one.id for one in found] == ["disk", "queue"]
    assert found[0].remediation == "Mend the disk at once. Tell the owner."


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{oops", "not valid JSON"),
        ('{"id": "x"}', "symptoms: Field required"),
        (row("disk"), "'disk' stands in line 1"),
    ],
)
def test_a_bad_row_is_named_with_its_line(file, line, words):
    with pytest.raises(BadInput, match=r"incidents\.jsonl:2") as caught:
        load_labelled(file([row("disk"), line]))
    assert words in str(caught.value)


def test_the_title_is_never_seen(file):
    found = load_labelled(file([row("disk", title="secret answer")]))
    assert "secret" not in found[0].query


def test_candidates_go_around_the_end():
    assert offered(4, 6) == [4, 5, 0, 1, 2]


def test_easy_incidents_are_ranked_right_and_figures_are_consistent(file):
    report = run_ranking(file([row(subject) for subject in SUBJECTS]))
    assert report["n"] == 6
    assert report["top1"] == report["top1_all"] == report["mrr"] == 1.0
    assert report["selective"][0] == {"threshold": 0.0, "coverage": 1.0, "precision": 1.0}
    assert all(
        sum(one["probability"] for one in told["ranked"]) == pytest.approx(1, abs=1e-3) for told in report["rows"]
    )
    json.dumps(report, allow_nan=False)


def test_too_few_incidents_are_refused(file):
    with pytest.raises(BadInput, match="at least 5"):
        run_ranking(file([row("disk")]))


def test_ties_count_by_expectation():
    assert place({"a": 0.5, "b": 0.5, "c": 0.1}, "a") == (0.5, (1 + 1 / 2) / 2)
    assert place({"a": 0.5, "b": 0.5, "c": 0.1}, "c") == (0.0, 1 / 3)


def test_calibration_and_selection():
    assert calibration_error([(0.25, 0.0), (0.25, 0.0), (0.25, 0.0), (0.25, 1.0)]) == pytest.approx(0)
    assert calibration_error([(0.9, 0.0), (0.1, 1.0)]) == pytest.approx(0.9)
    told = selective([(0.95, 1.0), (0.35, 0.0)])
    assert (told[0].coverage, told[0].precision) == (1.0, 0.5)
    assert (told[9].coverage, told[9].precision) == (0.5, 1.0)
    assert selective([(0.2, 1.0)])[5].precision is None


class Oracle:
    """Orders the candidates by whether their text is about the incident's subject: right, or the reverse."""

    name = "oracle"

    def __init__(self, *, right: bool) -> None:
        self.right = right

    def ask(self, question, heard=None):
        subject = next(name for name in SUBJECTS if f"The {name} is exhausted" in question.user)
        offers = [json.loads(line) for line in question.user.splitlines() if line.startswith('{"id": "c')]
        ids = [offer["id"] for offer in sorted(offers, key=lambda offer: (subject in offer["action"]) != self.right)]
        return Reply(json.dumps({"order": ids}))


class Absent:
    name = "absent"

    def ask(self, question, heard=None):
        raise Unavailable("absent")


@pytest.mark.parametrize(
    ("model", "skilled"), [(Oracle(right=True), True), (Oracle(right=False), False), (Absent(), False)]
)
def test_a_model_earns_its_weight(file, model, skilled):
    rows = load_labelled(file([row(subject) for subject in SUBJECTS]))
    skill = measure_skill(rows, similarities(rows), model)
    assert (skill["weight"] > 0) == skilled
    assert skill["top1_stacked"] == 1.0
    assert skill["failures"] == (len(rows) if skill["name"] == "absent" else 0)


def test_a_model_against_the_truth_gets_no_weight():
    judged = [Judged({"a": 0.0, "b": 0.0}, {"a": -1.0, "b": 1.0}, "a")]
    assert earned_weight(judged) == 0.0
    assert earned_weight([one._replace(gold="b") for one in judged]) == 1.0


@needs_data
@pytest.mark.skipif(not FAULTS.exists(), reason="SUTURE_DATA has no itbench/faults.jsonl")
def test_on_the_development_rows_it_is_right_as_often_as_the_page_says():
    report = run_ranking(FAULTS)
    assert report["n"] == 15
    assert report["top1"] >= 0.8
    assert report["top1_all"] >= 0.6
    assert report["ece"] <= 0.08
    assert report["abstention"]["guaranteed"] is None, "15 answers bear out no promise of 0.95"
    assert report["abstention"]["observed"]["precision"] >= 0.95


@needs_data
@pytest.mark.skipif(not FAULTS.exists(), reason="SUTURE_DATA has no itbench/faults.jsonl")
def test_rows_that_the_weights_never_saw_are_ranked_as_well():
    sets = load_sets(DATA)
    rows = sets.pop("rows")
    left_out = cross_validate(rows, [one for held in sets.values() for one in held])
    assert left_out["top1"] >= 0.7
    assert left_out["top1_all"] >= 0.6
