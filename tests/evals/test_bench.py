from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "evals.bench", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_figures_stand_beside_their_peers_of_the_same_run():
    done = bench("--only", "help", "--only", "guard", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["machine"].keys() >= {"cores", "memory_gib", "python"}
    assert set(answer["benches"]) == {"help", "guard"}
    figures = [figure for own in answer["benches"].values() for figure in own]
    assert {figure["unit"] for figure in figures} == {"ms"}
    assert all(figure["ratio"] == figure["value"] / figure["peer"] > 0 for figure in figures)


def test_a_bench_that_does_not_exist_is_named():
    done = bench("--only", "speed")
    assert done.returncode == 2
    assert "there is no 'speed'" in done.stderr
