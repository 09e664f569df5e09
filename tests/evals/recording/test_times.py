import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[3] / "examples" / "incidents-labelled.jsonl"


def times(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "evals.recording.times", *map(str, arguments)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_each_fault_of_the_sample_has_its_time():
    done = times(EXAMPLE)
    assert done.returncode == 0, done.stderr
    head, *lines = done.stdout.splitlines()
    assert head.split() == ["fault", "n", "least", "median", "most", "s"]
    assert lines
    for line in lines:
        _, n, least, middle, most = line.split()
        assert int(n) >= 1
        assert 0 < float(least) <= float(middle) <= float(most) < 60


def test_incidents_of_elsewhere_are_refused_in_words(tmp_path):
    file = tmp_path / "own.jsonl"
    file.write_text('{"id": "a", "title": "x", "started_at": "2026-01-01T00:00:00Z", "gold": null}\n')
    done = times(file)
    assert done.returncode == 2
    assert "evals.recording makes such" in done.stderr
