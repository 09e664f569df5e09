import json

import pytest
from typer.testing import CliRunner

from service.cli.main import app


@pytest.fixture
def run(tmp_path):
    def saved(name, rights, **changes):
        rows = [
            {"id": f"r{n}", "digest": f"d{n}", "kind": "action", "top1": right, "top3": 1.0, "correct": right,
             "reciprocal_rank": 1.0 if right else 0.5, **changes}
            for n, right in enumerate(rights)
        ]  # fmt: skip
        path = tmp_path / name
        path.write_text(json.dumps({"rows": rows}))
        return str(path)

    return saved


def compare(*arguments):
    return CliRunner().invoke(app, ["eval", "compare", *arguments])


def test_a_clear_difference_and_one_that_chance_makes(run):
    bad, good, near = run("a.json", [0] * 10 + [1] * 10), run("b.json", [1] * 20), run("c.json", [0] * 9 + [1] * 11)
    found = json.loads(compare(bad, good, "--json").stdout)
    assert found["n"] == 20
    top1 = next(one for one in found["figures"] if one["figure"] == "top1")
    assert (top1["only_first"], top1["only_second"], top1["difference"]) == (0, 10, 0.5)
    assert top1["p_value"] == pytest.approx(2 * 0.5**10)
    assert "B is better" in found["summary"]
    rank = next(one for one in found["figures"] if one["figure"] == "reciprocal_rank")
    assert rank["interval"][0] > 0
    shown = compare(bad, near)
    assert shown.exit_code == 0
    assert "no difference is shown" in shown.stderr
    assert "exact McNemar" in shown.stdout


def test_runs_over_different_rows_are_refused(run, tmp_path):
    first = run("a.json", [1, 0])
    for second, words in (
        (run("b.json", [1, 0, 1]), "'r2' stands only in B"),
        (run("c.json", [1, 0], digest="other"), "'r0' is not the same"),
    ):  # fmt: skip
        done = compare(first, second)
        assert done.exit_code == 2
        assert words in done.stderr
    ranking = tmp_path / "ranking.json"
    ranking.write_text(json.dumps({"rows": [{"id": "r0", "top1": 1, "reciprocal_rank": 1}]}))
    assert "of incidents, B of ranking" in compare(first, str(ranking)).stderr


def test_runs_of_the_other_suites_are_read(tmp_path):
    for rows in (
        [{"id": "a", "gold": "x", "ranked": ["y", "x"]}], [{"issue": "a", "gold": "x", "hit1": 0.5, "hit3": 1}],
        [{"id": "a", "top1": 0.5, "reciprocal_rank": 0.75, "ranked": []}],
    ):  # fmt: skip
        path = tmp_path / "run.json"
        path.write_text(json.dumps({"rows": rows}))
        found = json.loads(compare(str(path), str(path), "--json").stdout)
        assert {one["difference"] for one in found["figures"]} == {0}


@pytest.mark.parametrize("text", ["", "[]", '{"rows": []}', '{"rows": [{"name": 1}]}', '{"rows": [1]}'])
def test_what_is_no_run(run, tmp_path, text):
    (tmp_path / "no.json").write_text(text)
    done = compare(run("a.json", [1]), str(tmp_path / "no.json"))
    assert done.exit_code == 2
    assert "no.json" in done.stderr
    assert compare(run("a.json", [1]), str(tmp_path / "absent.json")).exit_code == 2
