"""A program goes on where the service that started it is killed, also where it prints."""

import os
import signal
import subprocess
import sys
import time

import pytest

PRINTS = """
import pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
(folder / "begun").touch()
while not (folder / "go").exists():
    time.sleep(0.02)
for _ in range(40):
    print("x" * 10_000, flush=True)
    print("y" * 10_000, file=sys.stderr, flush=True)
(folder / "ended").touch()
"""
SERVICE = """
import pathlib, sys
from service.executors.bounded import run_bounded
folder = pathlib.Path(sys.argv[1])
argv = [sys.executable, str(folder / "prints.py"), str(folder)]
finished = run_bounded(argv, environment={}, folder=folder, timeout=60, output_limit=100)
print(finished.exit_code, len(finished.stdout.text))
"""


@pytest.fixture
def service(tmp_path):
    (tmp_path / "prints.py").write_text(PRINTS)
    process = subprocess.Popen([sys.executable, "-c", SERVICE, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.communicate()


def until(path):
    ends = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < ends, f"{path.name} did not come"
        time.sleep(0.02)


def readers(folder):
    """Processes that still hold a pipe of the program's."""
    found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return [line for line in found.splitlines() if str(folder) in line]


def test_a_program_that_prints_outlives_a_killed_service(service, tmp_path):
    until(tmp_path / "begun")
    os.kill(service.pid, signal.SIGKILL)
    service.wait()
    (tmp_path / "go").touch()
    until(tmp_path / "ended")


def test_without_a_kill_its_output_is_read_to_the_end_and_nothing_is_left(service, tmp_path):
    (tmp_path / "go").touch()
    said, _ = service.communicate(timeout=30)
    assert said.split() == ["0", "100"]
    assert readers(tmp_path) == []
