import csv
import os
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from evals.detection import onsets, read_stream, run_detection, score_streams
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


def test_onsets_keep_only_what_exceeds_the_rows_before():
    assert onsets(np.array([0.1, 0.3, 0.2, 0.3, 0.5])).tolist() == [0.1, 0.3, 0.0, 0.0, 0.5]


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
