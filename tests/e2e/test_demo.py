"""`suture demo` on real processes, as a new user runs it."""

import json
import os
import subprocess
import sys
from contextlib import suppress

import psutil
import pytest

FAULTS = ["kill_service", "exhaust_connections", "hang_service"]
SECONDS = 600
"""It takes about two minutes on an idle machine."""


def start(folder, *options, **variables):
    command = [sys.executable, "-c", "from service.cli.main import run; run()", "demo", "--json", *options]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SUTURE_")}
    with (folder / "stderr").open("wb") as log:
        return subprocess.Popen(
            [*command, "--folder", str(folder / "s")], env={**kept, **variables}, stdin=subprocess.DEVNULL,
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


@pytest.fixture(scope="module")
def demos(tmp_path_factory):
    """Two at once, since most of it is waiting: the usual one, and a short one without a detector."""
    usual, blind = tmp_path_factory.mktemp("usual"), tmp_path_factory.mktemp("blind")
    running = {
        usual: start(usual),
        blind: start(blind, "--fault", "kill_service", "--detect-within", "10", SUTURE_DETECTOR__NAME="off"),
    }
    try:
        yield {
            name: (process, folder) for name, (folder, process) in zip(("usual", "blind"), running.items(), strict=True)
        }
    finally:
        for process in running.values():
            process.kill()
            process.wait()


def ended(demo):
    """The exit code, the JSON on standard output and the text on standard error; nothing is left running."""
    process, folder = demo
    output, _ = process.communicate(timeout=SECONDS)
    assert left_over(folder) == []
    return process.returncode, json.loads(output), (folder / "stderr").read_text()


@pytest.mark.timeout(SECONDS)
def test_without_a_detector_nothing_is_resolved_and_the_demo_fails(demos):
    code, result, words = ended(demos["blind"])
    assert code == 1, words
    [episode] = result["episodes"]
    assert result["resolved"] is False
    assert episode["failure"] == "nothing was detected within 10 s"
    assert "suture: The shop's processes are killed: nothing was detected within 10 s" in words


@pytest.mark.timeout(SECONDS)
def test_every_fault_is_resolved(demos):
    code, result, words = ended(demos["usual"])
    assert code == 0, words
    assert result["resolved"] is True
    episodes = result["episodes"]
    assert [(one["fault"], one["failure"]) for one in episodes] == [(fault, None) for fault in FAULTS]
    assert [one["action"] for one in episodes] == [
        "process/restart process:shop", "process/restart process:postgres", "process/restart process:shop",
    ]  # fmt: skip
    for one in episodes:
        seconds = [one["seconds"][stage] for stage in ("detect", "recommend", "mitigate", "verify")]
        assert seconds == sorted(seconds)
        assert one["citations"]
    assert episodes[0]["incident"].lower() in episodes[2]["similar"], "the second downtime finds the first's postmortem"
