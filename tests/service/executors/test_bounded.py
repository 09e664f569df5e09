import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from service.executors.bounded import Finished, NotStarted, run_bounded

STUBBORN = (
    "import os, signal, subprocess, sys, time; signal.signal(15, signal.SIG_IGN);"
    "child = subprocess.Popen([sys.executable, '-c', 'import signal,time; signal.signal(15, 1); time.sleep(60)']);"
    "print(os.getpid(), child.pid, flush=True); time.sleep(60)"
)


def run(text: str, **options) -> Finished:
    defaults = {"environment": {}, "folder": Path("/"), "timeout": 20.0, "output_limit": 1024}
    return run_bounded([sys.executable, "-c", text], **{**defaults, **options})


def test_a_cancelled_program_is_ended_with_its_children():
    asked = threading.Event()
    threading.Timer(0.5, asked.set).start()
    finished = run(STUBBORN, cancelled=asked.is_set)
    assert finished.cancelled
    assert not finished.timed_out
    assert finished.exit_code < 0
    for pid in map(int, finished.stdout.text.split()):
        assert _ended(pid)


def test_a_program_that_ends_by_itself_was_not_cancelled_and_one_out_of_time_neither():
    ended = run("print('done')", cancelled=lambda: False)
    assert (ended.exit_code, ended.stdout.text, ended.timed_out, ended.cancelled) == (0, "done\n", False, False)
    late = run("import time; time.sleep(60)", timeout=0.5, cancelled=lambda: False)
    assert (late.timed_out, late.cancelled) == (True, False)


def test_where_nobody_can_say_whether_it_is_cancelled_the_program_is_ended_and_the_error_goes_on(tmp_path):
    def broken() -> bool:
        raise ConnectionError("no database")

    with pytest.raises(ConnectionError):
        run(f"import os; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); {STUBBORN}", cancelled=broken)
    assert _ended(int((tmp_path / "pid").read_text()))


def test_a_program_that_is_not_there_was_not_started():
    with pytest.raises(NotStarted, match="No such file"):
        run_bounded(["/nonexistent"], environment={}, folder=Path("/"), timeout=1, output_limit=1024)


OF_ANOTHER_USER = """
import os, sys
from pathlib import Path
from service.executors.bounded import run_bounded
def cancelled():
    if os.geteuid() == 0:
        os.setuid(65534)  # as if the program had become root's, by sudo
    return False
text = "import os, time; print(os.getpid(), flush=True); time.sleep(20)"
argv = [sys.executable, "-c", text]
ended = run_bounded(argv, environment={}, folder=Path("/"), timeout=1, output_limit=99, cancelled=cancelled)
print(ended.timed_out, ended.stdout.text)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs two users")
def test_a_program_that_became_another_users_does_not_hold_its_caller():
    told = subprocess.run([sys.executable, "-c", OF_ANOTHER_USER], capture_output=True, text=True, check=False)
    timed_out, pid = told.stdout.split()
    try:
        assert timed_out == "True"
        assert f"process {pid} cannot be ended" in told.stderr
    finally:
        os.kill(int(pid), signal.SIGKILL)


def _ended(pid: int) -> bool:
    """Whether it is gone, or a zombie that init has yet to reap: SIGKILL takes a moment."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False
