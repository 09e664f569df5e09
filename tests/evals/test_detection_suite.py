import csv
import json
import os
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from evals import nab as benchmark
from evals.detection import read_stream, run_detection, score_streams
from evals.detection_stress import CHANGES, HEALTHY, stress
from models.domain.errors import BadInput

NAB = Path(os.environ.get("SUTURE_DATA", "../shared/data")) / "nab"


def write(path, values, header="timestamp,value"):
    path.parent.mkdir(parents=True, exist_ok=True)
    begin = datetime(2026, 1, 1)
    lines = [f"{begin + timedelta(minutes=5 * i)},{value}" for i, value in enumerate(values)]
    path.write_text("\n".join([header, *lines]) + "\n")


@pytest.fixture
def nab(tmp_path):
    random = np.random.default_rng(5)
    shifted = random.normal(10, 1, 500)
    shifted[400:] += 12
    write(tmp_path / "data" / "made" / "shifted.csv", shifted)
    write(tmp_path / "data" / "made" / "calm.csv", random.normal(50, 2, 300))
    return tmp_path


def read(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_each_file_gets_a_score_a_row_and_the_shift_has_the_highest(nab, tmp_path):
    out = tmp_path / "out"
    assert run_detection(nab, out) == {"files": 2, "rows": 800, "out": str(out)}
    rows = read(out / "made" / "suture_shifted.csv")
    source = read(nab / "data" / "made" / "shifted.csv")
    assert [row["timestamp"] for row in rows] == [row["timestamp"] for row in source]
    assert [float(row["value"]) for row in rows] == [float(row["value"]) for row in source]
    scores = [float(row["anomaly_score"]) for row in rows]
    assert all(0 <= score <= 1 for score in scores)
    assert 400 <= int(np.argmax(scores)) <= 410
    assert max(float(row["anomaly_score"]) for row in read(out / "made" / "suture_calm.csv")) < max(scores)


def test_scores_do_not_look_ahead(nab):
    whole = read_stream(nab / "data" / "made" / "shifted.csv")
    cut = type(whole)(whole.name, whole.timestamps[:300], whole.values[:300])
    np.testing.assert_array_equal(score_streams([whole])[0][:300], score_streams([cut])[0])


def test_labels_are_told_of_and_change_no_score(nab, tmp_path):
    unlabelled = run_detection(nab, tmp_path / "without")
    begin, end = (datetime(2026, 1, 1) + timedelta(minutes=5 * row) for row in (395, 420))
    windows = {"made/shifted.csv": [[str(begin), str(end)]], "made/calm.csv": []}
    (nab / "windows.json").write_text(json.dumps(windows))
    result = run_detection(nab, tmp_path / "with")
    assert "score" not in unlabelled
    assert (result["found"], result["windows"], result["false_alarms"]) == (1, 1, 0)
    assert result["score"] > 80
    for name in ("shifted", "calm"):
        one, other = (tmp_path / out / "made" / f"suture_{name}.csv" for out in ("without", "with"))
        assert one.read_text() == other.read_text()
    (nab / "windows.json").write_text("[")
    with pytest.raises(BadInput, match="windows"):
        run_detection(nab, tmp_path / "out")


@pytest.fixture
def judged():
    times = [datetime(2026, 1, 1) + timedelta(minutes=row) for row in range(100)]
    return benchmark.judge("made/file.csv", times, [(times[40], times[49])])


@pytest.mark.parametrize(
    ("detections", "score"),
    [
        ([], 0.0),  # saying nothing
        ([40], 100.0),  # the window's first row
        ([40, 45, 49], 100.0),  # further ones in the window count nothing
        ([30], -5.5),  # 0.11 of a window, of two
        ([5, 40], 100.0),  # not judged yet
    ],
)
def test_the_scale_of_the_benchmark(judged, detections, score):
    scores = np.zeros(100)
    scores[detections] = 0.5
    found = benchmark.score_at([judged], {"made/file.csv": scores}, 0.5)
    assert found.scaled == pytest.approx(score, abs=0.01)


def test_a_false_alarm_just_after_a_window_costs_less(judged):
    worth = judged.worth
    assert -0.11 <= worth[80] < worth[51] < worth[50] < 0
    assert worth[40] == pytest.approx(1.0)
    assert all(np.diff(worth[40:50]) < 0)


def test_the_best_threshold_is_the_best_of_all(judged):
    random = np.random.default_rng(3)
    for _ in range(20):
        scores = {"made/file.csv": np.round(random.uniform(0, 1, 100) * (random.uniform(0, 1, 100) < 0.2), 2)}
        best = benchmark.best_threshold([judged], scores)
        everywhere = [
            benchmark.score_at([judged], scores, value).scaled for value in {*scores["made/file.csv"].tolist()} if value
        ]
        assert benchmark.score_at([judged], scores, best).scaled == pytest.approx(max(everywhere))


def test_changed_files_keep_their_labels_and_healthy_streams_are_mostly_quiet(nab):
    times = [datetime(2026, 1, 1) + timedelta(minutes=5 * row) for row in range(500)]
    windows = {"made/shifted.csv": [[str(times[395]), str(times[420])]], "made/calm.csv": []}
    (nab / "windows.json").write_text(json.dumps(windows))
    told, random = stress(nab, streams_each=1), np.random.default_rng(2)
    for name, change in CHANGES.items():
        assert (told["changed"][name]["found"], told["changed"][name]["windows"]) == (1, 1), name
        stream, moved = change(read_stream(nab / "data" / "made" / "shifted.csv"), [(times[395], times[420])], random)
        assert all(str(end) in stream.timestamps for window in moved for end in window), name
        assert len(stream.values) == len(stream.timestamps)
    assert set(told["healthy"]) == set(HEALTHY)
    assert all(rate < 10 for rate in told["healthy"].values())


@pytest.mark.skipif(not (NAB / "windows.json").is_file(), reason="the benchmark's files are absent (SUTURE_DATA)")
def test_the_published_score_holds(tmp_path):
    assert run_detection(NAB, tmp_path)["score"] >= 75


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ":1: the first line"),
        ("time,value\n", ":1: the first line"),
        ("timestamp,value\n", "no row"),
        ("timestamp,value\n2026-01-01 00:00:00,1\n2026-01-01 00:05:00,x\n", ":3: not a row"),
        ("timestamp,value\nsoon,1\n", ":2: not a row"),
    ],
)
def test_a_wrong_file_is_named_with_its_line(tmp_path, text, words):
    path = tmp_path / "data" / "made" / "wrong.csv"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(BadInput, match=words):
        run_detection(tmp_path, tmp_path / "out")


def test_no_file_is_an_error(tmp_path):
    with pytest.raises(BadInput, match="data/<category>"):
        run_detection(tmp_path, tmp_path / "out")


@pytest.mark.needs_data
@pytest.mark.skipif(not NAB.is_dir(), reason="SUTURE_DATA has no nab folder")
def test_real_files_of_the_benchmark_are_read():
    streams = [read_stream(path) for path in sorted((NAB / "data").glob("*/*.csv"))]
    assert len(streams) == 35
