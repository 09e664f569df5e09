"""A run goes on where the last one ended, keeps what it has, and says what is missing."""

import subprocess
import sys
from contextlib import contextmanager

import pytest

from evals.incidents.loading import load_incidents
from evals.recording import recorder
from evals.recording.file import append, recorded_ids, write_topology
from evals.recording.plan import plan
from evals.recording.recorder import Recorder
from evals.recording.session import NotRecorded
from evals.recording.subjects import SUBJECTS
from models.domain.errors import BadInput, Unavailable
from service.topology import load_topology


def row(variant):
    told = {"recommended": None, "seconds_to_recommendation": 4.0}
    return {"id": variant.id, "title": "shop: up down", "gold": None, "variant": told}


@pytest.fixture
def stage(monkeypatch, tmp_path):
    """A stage on which each variant does what `fate` says by its number; keeps what was played."""

    class Played:
        def __init__(self):
            self.fate = {}
            self.order = []

        def play(self, variant):
            self.order.append(variant.number)
            if error := self.fate.get(variant.number):
                raise error
            return row(variant)

    played = Played()

    @contextmanager
    def opened(*_arguments):
        yield played

    monkeypatch.setattr(recorder, "open_stage", opened)
    # Where a session went wrong its folder stays, with the logs.
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return played


def run(out, said, count=20):
    return Recorder(out, plan(1, count, tuple(SUBJECTS.values())), 1, said.append).run()


def test_an_interrupted_run_keeps_what_it_has_and_the_next_records_the_rest(tmp_path, stage):
    out, said = tmp_path / "rows.jsonl", []
    stage.fate = {7: KeyboardInterrupt()}
    with pytest.raises(KeyboardInterrupt):
        run(out, said)
    first = [one.id for one in load_incidents(out)]
    assert first
    before, stage.fate, stage.order = list(stage.order), {}, []
    result = run(out, said)
    assert (result.had, result.recorded, result.missing) == (len(first), 20 - len(first), {})
    assert not set(stage.order) & (set(before) - {7})
    assert {one.id for one in load_incidents(out)} == {f"sandbox-1-{number:03d}" for number in range(20)}
    assert said[-1].startswith(" 20 of 20")
    assert list(tmp_path.iterdir()) == [out]


def test_what_was_not_detected_is_named_and_tried_again(tmp_path, stage):
    out, said = tmp_path / "rows.jsonl", []
    stage.fate = {3: NotRecorded("nothing was recommended within 45 s")}
    result = run(out, said)
    assert result.missing == {"sandbox-1-003": "nothing was recommended within 45 s"}
    assert result.recorded == 19
    stage.fate = {}
    assert run(out, said).recorded == 1


def test_a_sandbox_that_fails_takes_only_its_own_variants_with_it(tmp_path, stage):
    out, said = tmp_path / "rows.jsonl", []
    sessions = plan(1, 20, tuple(SUBJECTS.values()))
    lost = [one.number for one in sessions[0].variants]
    stage.fate = {lost[1]: Unavailable("the service does not answer")}
    result = run(out, said)
    assert len(list(tmp_path.glob("suture-rec-*"))) == 1
    assert sorted(result.missing) == [f"sandbox-1-{number:03d}" for number in sorted(lost[1:])]
    assert result.recorded == 20 - len(lost) + 1
    assert any("the service does not answer; its logs are in " in line for line in said)


def test_a_line_that_a_crash_cut_off_is_recorded_anew(tmp_path):
    out = tmp_path / "rows.jsonl"
    append(out, {"id": "a", "title": "t", "gold": None})
    with out.open("a") as file:
        file.write('{"id": "b", "title": "t", "go')
    assert recorded_ids(out) == {"a"}
    append(out, {"id": "b", "title": "t", "gold": None})
    assert [one.id for one in load_incidents(out)] == ["a", "b"]


def test_a_file_of_something_else_is_not_continued(tmp_path):
    out = tmp_path / "notes.txt"
    out.write_text("shopping list\nmilk\n")
    with pytest.raises(BadInput, match=r"notes\.txt:1"):
        Recorder(out, [], 1, print)
    assert out.read_text() == "shopping list\nmilk\n"


def test_the_topology_beside_it_can_be_loaded(tmp_path):
    beside = write_topology(tmp_path / "rows.jsonl")
    assert beside.name == "rows.topology.yaml"
    assert load_topology(beside).connected("shop", "orders-db")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--fault", "meteor"), "there is no 'meteor' to record: choose one of kill_service"),
        (("--out", "/nowhere/at/all.jsonl"), "/nowhere/at is no folder; make it first"),
    ],
)
def test_bad_input_is_answered_with_one_line(tmp_path, options, words):
    command = [sys.executable, "-m", "evals.recording", "--out", str(tmp_path / "o.jsonl"), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
