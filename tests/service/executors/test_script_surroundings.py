"""What a run is given: secrets, folders of its own, and limits."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from service.executors.outlived import wait_until_ended
from service.ports import Effect, ExecutorError
from tests.service.executors.script_parts import SECRETS, call, make, program


def test_secrets_are_there_for_the_run_alone_and_shown_nowhere(tmp_path):
    text = (
        "token = os.environ['API_TOKEN']; print('with', token)\n"
        "print(token, file=sys.stderr); sys.exit(len(sys.argv) - 1)"
    )
    config = {**program(tmp_path, "leaky", text), "secrets": {"API_TOKEN": "env:TOKEN"}}
    executor = make(leaky=config, other=program(tmp_path, "other", "print('API_TOKEN' in os.environ)"))
    assert executor.act(call("leaky"))["stdout"] == "with ***\n"
    with pytest.raises(ExecutorError, match=r"ended with 1: \*\*\*$"):
        executor.act(call("leaky", "a"))
    assert executor.act(call("other"))["stdout"] == "False\n"
    assert "8c1f" not in executor.dry_run(call("leaky"))
    SECRETS["TOKEN"] = "changed-since"
    try:
        assert executor.act(call("leaky"))["stdout"] == "with ***\n"
    finally:
        SECRETS["TOKEN"] = "8c1f-secret"


def test_a_secret_that_is_gone_stops_the_run_before_it_begins(tmp_path):
    (tmp_path / "token").write_text("words")
    (tmp_path / "token").chmod(0o600)
    text = f"open({str(tmp_path / 'ran')!r}, 'w')"
    executor = make(tool={**program(tmp_path, "tool", text), "secrets": {"T": f"file:{tmp_path}/token"}})
    (tmp_path / "token").unlink()
    with pytest.raises(ExecutorError, match=r"the secret file .* cannot be read") as caught:
        executor.act(call("tool"))
    assert caught.value.effect is Effect.ABSENT
    assert not (tmp_path / "ran").exists()


LITTER = (
    "import tempfile; folders = [os.getcwd(), os.environ['HOME'], tempfile.gettempdir()]\n"
    "for each in folders: assert not os.listdir(each); open(each + '/left', 'w').write('x')\n"
    "os.mkdir('closed'); open('closed/x', 'w'); os.chmod('closed', 0)\n"
    "print('\\n'.join(folders))\n"
)


def test_each_run_has_empty_folders_of_its_own_that_are_gone_afterwards(tmp_path):
    executor = make(litter=program(tmp_path, "litter", LITTER))
    first, second = (executor.act(call("litter"))["stdout"].splitlines() for _ in range(2))
    assert len({*first, *second}) == 6
    assert not any(Path(folder).parent.exists() for folder in (*first, *second))
    text = (
        f"{LITTER}print(os.getcwd(), file=sys.stderr, flush=True); open({str(tmp_path / 'up')!r}, 'w'); time.sleep(60)"
    )
    hangs = make(hangs=program(tmp_path, "hangs", text))
    with pytest.raises(ExecutorError, match="was ended since") as caught:
        hangs.act(replace(call("hangs", timeout=60), cancelled=(tmp_path / "up").exists))
    assert not Path(str(caught.value).split()[-1]).exists()


def test_the_folders_of_a_run_whose_service_was_killed_go_when_it_is_asked_for(tmp_path):
    tool = program(tmp_path, "tool", "pass")
    text = (
        "import os, sys; from datetime import timedelta; from models.domain.base import utc_now\n"
        "from service.executors.script import ScriptExecutor; from service.ports import Call, Context\n"
        "build = ScriptExecutor.build({'programs': {'kill': {'path': sys.argv[1]}}}, Context(utc_now, str))\n"
        "build.act(Call('exec-9:act', 'run', {'program': 'kill'}, timedelta(seconds=20)))"
    )
    kills = program(
        tmp_path, "kill", f"open({str(tmp_path / 'cwd')!r}, 'w').write(os.getcwd()); os.kill(os.getppid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", text, kills["path"]], cwd=Path(__file__).parents[3], check=False)
    assert killed.returncode == -9
    left = Path((tmp_path / "cwd").read_text())
    assert left.exists()
    assert wait_until_ended("exec-9:act", 10)
    before = replace(call("tool"), key="exec-9:act")
    assert make(tool=tool).observe(before) is Effect.UNKNOWN
    assert not left.parent.exists()


@pytest.mark.parametrize(
    ("limit", "text", "words"),
    [
        ({"memory_limit": "200MiB"}, "x = bytearray(400_000_000)", "MemoryError"),
        ({"open_files": 16}, "x = [open('/dev/null') for _ in range(20)]", "Too many open files"),
        ({"cpu_seconds": 1}, "while True: pass", "used up its cpu_seconds"),
    ],
)
def test_a_program_cannot_use_more_than_it_was_given(tmp_path, limit, text, words):
    greedy = program(tmp_path, "greedy", text)
    with pytest.raises(ExecutorError, match=words) as caught:
        make(greedy={**greedy, **limit}).act(call("greedy", timeout=60))
    assert caught.value.effect is Effect.UNKNOWN
    modest = program(tmp_path, "modest", "pass")
    make(modest={**modest, "memory_limit": "200MiB", "open_files": 16, "cpu_seconds": 20}).act(call("modest"))


def test_a_limited_program_is_otherwise_the_same(tmp_path):
    text = (
        "print(sys.argv, sorted(os.environ), signal.getsignal(signal.SIGPIPE) is not None, os.getsid(0) == os.getpid())"
    )
    plain = program(tmp_path, "plain", text)
    same = [make(plain={**plain, **more}).act(call("plain", "a"))["stdout"] for more in ({}, {"open_files": 64})]
    assert same[0] == same[1]
    shell = tmp_path / "shell"
    shell.write_text("#!/bin/sh\nenv; grep -E 'Sig(Ign|Blk)' /proc/self/status\n")
    shell.chmod(0o755)
    runs = [make(shell={"path": str(shell), **more}).act(call("shell"))["stdout"] for more in ({}, {"open_files": 64})]
    settings = [sorted(line for line in run.splitlines() if "suture-run-" not in line) for run in runs]
    assert settings[0] == settings[1]
