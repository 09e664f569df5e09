"""`suture simulate` and `suture demo` on real processes, as a user runs them. Most of it is waiting."""

import json
import os
import subprocess
import sys
from contextlib import suppress

import psutil
import pytest

from evals.sandbox.config import RUNBOOKS
from runbooks import LIBRARY

SECONDS = 600
"""All of it takes about three minutes on an idle machine."""


def start(folder, *command, **variables):
    arguments = [sys.executable, "-c", "from service.cli.main import run; run()", *command, "--json"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SUTURE_")}
    with (folder / "stderr").open("wb") as log:
        return subprocess.Popen(
            [*arguments, "--folder", str(folder / "s")], env={**kept, **variables}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=log, start_new_session=True,
        )  # fmt: skip


def left_over(folder):
    """Processes that name the folder in their command line or environment, or work in it."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            words = [*process.cmdline(), process.cwd(), *process.environ().values()]
            if any(str(folder) in word for word in words):
                found.append(process)
    return found


def own_runbooks(folder):
    """A user's folder: three runbooks, less patient than they are in the library."""
    folder.mkdir()
    for name in (LIBRARY / "service-down.md", LIBRARY / "postgres-down.md", RUNBOOKS / "shop-refused-by-database.md"):
        (folder / name.name).write_text(name.read_text().replace("within: 60s", "within: 25s"))
    return str(folder)


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    """Starts commands, two at once at most; all end with the module."""
    running = []

    def run(name, *command, **variables):
        folder = tmp_path_factory.mktemp(name)
        running.append(start(folder, *command, **variables))
        return running[-1], folder

    yield run
    for process in running:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def tried(commands, tmp_path_factory):
    """Begun before the shorter ones, and awaited after them."""
    own = own_runbooks(tmp_path_factory.mktemp("own") / "runbooks")
    scenarios = ("--scenario", "broken_start", "--scenario", "wrong_remedy")
    return commands("tried", "simulate", *scenarios, "--runbooks", own)


def ended(started):
    """The exit code, the JSON on standard output and the text on standard error; nothing is left running."""
    process, folder = started
    output, _ = process.communicate(timeout=SECONDS)
    assert left_over(folder) == []
    return process.returncode, json.loads(output), (folder / "stderr").read_text()


@pytest.mark.timeout(SECONDS)
@pytest.mark.usefixtures("tried")
def test_without_a_detector_nothing_is_resolved_and_the_demo_fails(commands):
    options = ("--fault", "kill_service", "--detect-within", "10")
    code, result, words = ended(commands("blind", "demo", *options, SUTURE_DETECTOR__NAME="off"))
    assert code == 1, words
    [episode] = result["episodes"]
    assert result["resolved"] is False
    assert episode["failure"] == "nothing was detected within 10 s"
    assert "suture: The shop's processes are killed: nothing was detected within 10 s" in words


@pytest.mark.timeout(SECONDS)
@pytest.mark.usefixtures("tried")
def test_an_approval_that_never_comes_leaves_everything_to_a_person(commands):
    code, result, words = ended(commands("waits", "simulate", "--scenario", "approval_never_comes"))
    assert code == 0, words
    [episode] = result["episodes"]
    assert [one["state"] for one in episode["attempts"]] == ["cancelled"]
    seconds = episode["seconds"]
    assert seconds["mitigate"] is None
    assert seconds["hand_over"] > seconds["recommend"] + 14, "it was waited for"


@pytest.mark.timeout(SECONDS)
def test_a_standby_takes_over_where_no_restart_helps_and_a_wrong_remedy_is_undone(tried):
    code, result, words = ended(tried)
    assert code == 0, words
    assert (result["as_expected"], result["of"]) == (2, 2)
    down, wrong = result["episodes"]
    assert [(one["action"], one["state"]) for one in down["attempts"]][-1] == (
        "traffic/switch traffic:shop",
        "succeeded",
    )
    assert down["attempts"][0]["action"] == "process/restart process:shop"
    assert down["attempts"][0]["state"] in ("failed", "rolled_back")
    assert down["citations"]
    seconds = [down["seconds"][stage] for stage in ("detect", "recommend", "mitigate", "verify")]
    assert seconds == sorted(seconds)
    assert {one["action"]: one["state"] for one in wrong["attempts"]} == {
        "traffic/switch traffic:shop": "rolled_back", "process/restart process:postgres": "failed",
    }  # fmt: skip
    assert wrong["seconds"]["hand_over"] is not None
