import os
import resource
import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from models.domain.base import utc_now
from models.domain.errors import BadInput
from service.executors.outlived import wait_until_ended
from service.executors.script import ScriptExecutor
from service.ports import Call, Context, Effect, ExecutorError
from service.security.secrets import resolve_secret

build = ScriptExecutor.build

SECRETS = {"TOKEN": "8c1f-secret"}
CONTEXT = Context(clock=utc_now, secret=lambda reference: resolve_secret(reference, SECRETS))


def program(folder: Path, name: str, text: str) -> dict:
    path = folder / name
    path.write_text(f"#!{sys.executable}\nimport os, signal, subprocess, sys, time\n{text}\n")
    path.chmod(0o755)
    return {"path": str(path)}


def make(**programs: dict) -> ScriptExecutor:
    return build({"programs": programs, "output_limit": 4096}, CONTEXT)


def call(name: str, *args: str, timeout: float = 20) -> Call:
    return Call("exec-1:act", "run", {"program": name, "args": list(args)}, timedelta(seconds=timeout))


def test_arguments_arrive_as_they_are_and_no_shell_reads_them(tmp_path):
    echo = program(tmp_path, "echo", "print(sys.argv[1:]); print('noted', file=sys.stderr)")
    executor = make(echo={**echo, "args_pattern": ".*"})
    words = ("$(id)", "a b; rm -rf x", "*", "--flag", "ü")
    outputs = executor.act(call("echo", *words))
    assert outputs == {"exit_code": 0, "stdout": f"{list(words)}\n", "stderr": "noted\n", "truncated": False}
    assert executor.target("run", call("echo").arguments) == "script:echo"
    assert executor.dry_run(call("echo", "a b")) == f"would run {tmp_path}/echo 'a b'"


def test_the_environment_holds_what_is_listed_and_the_key(tmp_path, monkeypatch):
    monkeypatch.setenv("WANTED", "yes")
    monkeypatch.setenv("HIDDEN", "no")
    show = program(tmp_path, "show", "print(sorted(os.environ.items())); print(os.getcwd(), sys.stdin.read() == '')")
    outputs = make(show={**show, "env": ["WANTED", "ABSENT"]}).act(call("show"))
    lines = outputs["stdout"].splitlines()
    assert "('SUTURE_IDEMPOTENCY_KEY', 'exec-1:act')" in lines[0]
    assert "('WANTED', 'yes')" in lines[0]
    assert "HIDDEN" not in lines[0]
    assert "'PATH'" not in lines[0]
    assert lines[1].endswith("/work True")
    kept = make(show={**show, "working_dir": str(tmp_path)}).act(call("show"))
    assert kept["stdout"].splitlines()[1] == f"{tmp_path} True"


def test_another_code_than_0_fails_with_the_end_of_standard_error(tmp_path):
    fails = program(tmp_path, "fails", "sys.stderr.write('x' * 9000 + ' no such release'); sys.exit(4)")
    with pytest.raises(ExecutorError, match=r"ended with 4: …x+ no such release$") as caught:
        make(fails=fails).act(call("fails"))
    assert caught.value.effect is Effect.UNKNOWN
    assert len(str(caught.value)) < 2200


def test_a_flood_of_output_is_cut_to_its_end_within_bounded_memory(tmp_path):
    text = "for i in range(64): sys.stdout.write('y' * 1_000_000)\nprint('the end')"
    executor = make(flood=program(tmp_path, "flood", text))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outputs = executor.act(call("flood"))
    assert outputs["truncated"]
    assert len(outputs["stdout"]) == 4096
    assert outputs["stdout"].endswith("the end\n")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB, of 64,000 written


def test_timeout_ends_the_whole_group_even_what_ignores_sigterm(tmp_path):
    text = (
        "signal.signal(15, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import signal,time; signal.signal(15, 1); time.sleep(60)'])\n"
        f"open({str(tmp_path / 'pids')!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        "print('working', file=sys.stderr, flush=True); time.sleep(60)"
    )
    started = time.monotonic()
    with pytest.raises(ExecutorError, match="was ended after 1s: working") as caught:
        make(hangs=program(tmp_path, "hangs", text)).act(call("hangs", timeout=1))
    assert time.monotonic() - started < 20, "it waited for the program, which takes 60 s"
    assert caught.value.effect is Effect.UNKNOWN
    for pid in map(int, (tmp_path / "pids").read_text().split()):
        assert _ended(pid)


def test_a_cancelled_run_is_ended_and_its_effect_is_for_observe_to_tell(tmp_path):
    text = f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); print('half', file=sys.stderr, flush=True)\n"
    config = program(tmp_path, "slow", f"if sys.argv[1:] == ['--done']: sys.exit(0)\n{text}time.sleep(60)")
    executor = make(slow={**config, "observe": ["--done"]})
    stopped = replace(call("slow"), cancelled=(tmp_path / "pid").exists)
    with pytest.raises(ExecutorError, match="since the execution was cancelled: half") as caught:
        executor.act(stopped)
    assert caught.value.effect is Effect.UNKNOWN
    assert not caught.value.retriable
    assert _ended(int((tmp_path / "pid").read_text()))
    assert executor.observe(stopped) is Effect.HAPPENED, "what is asked after a cancellation is not itself cancelled"


def test_a_daemon_that_keeps_the_streams_open_does_not_hold_up_the_run(tmp_path):
    text = "child = subprocess.Popen(['sleep', '30'], start_new_session=True); print(child.pid)"
    started = time.monotonic()
    outputs = make(daemon=program(tmp_path, "daemon", text)).act(call("daemon"))
    assert time.monotonic() - started < 5
    os.kill(int(outputs["stdout"]), 9)  # it was left alone: a program may start a service


@pytest.mark.parametrize(
    ("name", "args", "words"),
    [
        ("unlisted", [], "unlisted is not allowed"),
        ("ok", ["a\0b"], "arguments do not fit: args.0"),
        ("ok", ["--force"], r"args\[0\] does not match"),
        ("ok", ["fine", "two words"], r"args\[1\] does not match"),
        ("ok", ["fine\n"], r"args\[0\] does not match"),
        ("ok", [""], r"args\[0\] does not match"),
        ("ok", ["x" * 4097], "arguments do not fit: args.0"),
        ("ok", ["x"] * 65, "arguments do not fit: args"),
        ("ok", ["x" * 4000] * 9, "longer than 32768 bytes"),
        ("../ok", [], "arguments do not fit: program"),
    ],
)
def test_what_is_not_allowed_is_refused_before_anything_runs(tmp_path, name, args, words):
    executor = make(ok=program(tmp_path, "ok", f"open({str(tmp_path / 'ran')!r}, 'w')"))
    for method in (executor.act, executor.dry_run):
        with pytest.raises(ExecutorError, match=words) as caught:
            method(call(name, *args))
        assert caught.value.effect is Effect.ABSENT
    assert not (tmp_path / "ran").exists()


def test_a_program_that_is_replaced_by_a_link_out_of_its_folder_is_refused(tmp_path):
    inside, outside = tmp_path / "programs", tmp_path / "elsewhere"
    inside.mkdir()
    outside.mkdir()
    program(outside, "evil", "pass")
    executor = make(tool=program(inside, "tool", "pass"))
    executor.act(call("tool"))
    (inside / "tool").unlink()
    (inside / "tool").symlink_to(outside / "evil")
    with pytest.raises(ExecutorError, match="leads out of its folder"):
        executor.act(call("tool"))
    with pytest.raises(BadInput, match=r"programs\.tool\.path: .*leads out"):
        make(tool={"path": str(inside / "tool")})


def test_a_program_that_everybody_can_write_or_nobody_can_run_is_refused(tmp_path):
    config = program(tmp_path, "tool", "pass")
    executor = make(tool=config)
    (tmp_path / "tool").chmod(0o757)
    with pytest.raises(ExecutorError, match="chmod o-w"):
        executor.act(call("tool"))
    (tmp_path / "tool").chmod(0o644)
    with pytest.raises(ExecutorError, match="not a file that can be executed"):
        executor.act(call("tool"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_a_program_of_another_user_is_refused_and_so_is_one_in_a_folder_of_theirs(tmp_path):
    folder = tmp_path / "programs"
    folder.mkdir()
    executor = make(tool=program(folder, "tool", "pass"))
    for path in (folder / "tool", folder):
        os.chown(path, 12345, -1)
        with pytest.raises(ExecutorError, match=f"{path} belongs to user 12345") as caught:
            executor.act(call("tool"))
        assert caught.value.effect is Effect.ABSENT
        os.chown(path, 0, -1)
    executor.act(call("tool"))


def test_a_program_in_a_folder_that_everybody_can_write_is_refused(tmp_path):
    folder = tmp_path / "programs"
    folder.mkdir()
    executor = make(tool=program(folder, "tool", "pass"))
    folder.chmod(0o777)
    with pytest.raises(ExecutorError, match="programs can be written by everybody"):
        executor.act(call("tool"))
    folder.chmod(0o1777)
    executor.act(call("tool"))


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


def test_observe_asks_the_program_or_goes_by_what_is_declared(tmp_path):
    text = "sys.exit(int(sys.argv[2]) if sys.argv[1] == '--happened' else 0)"
    config = {**program(tmp_path, "tool", text), "args_pattern": "[0-9]"}
    asked = make(tool={**config, "observe": ["--happened"]})
    assert [asked.observe(call("tool", code)) for code in "017"] == [Effect.HAPPENED, Effect.ABSENT, Effect.UNKNOWN]
    assert make(tool=config).observe(call("tool", "0")) is Effect.UNKNOWN
    assert make(tool={**config, "idempotent": True}).observe(call("tool", "0")) is Effect.REPEATABLE


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"path": "tool"}, "path: must be an absolute path"),
        ({"path": "/bin/../bin/sh"}, "path: must be an absolute path"),
        ({"path": "/nonexistent/tool"}, "cannot be found"),
        ({"args_pattern": "("}, "args_pattern: is not a regular expression"),
        ({"working_dir": "/nonexistent"}, "working_dir: /nonexistent is not a folder"),
        ({"shell": True}, "shell: there is no such key"),
        ({"env": ["A=B"]}, "env.0: "),
        ({"secrets": {"TOKEN": "8c1f-secret"}}, r"programs\.tool\.secrets\.TOKEN: .*given by reference"),
        ({"secrets": {"TOKEN": "env:NONE"}}, r"secrets\.TOKEN: the environment variable NONE is not set"),
        ({"secrets": {"A": "env:TOKEN"}, "env": ["A"]}, "A is given in another way already"),
        ({"secrets": {"SUTURE_IDEMPOTENCY_KEY": "env:TOKEN"}}, "is given in another way already"),
        ({"memory_limit": "1 KiB"}, "memory_limit: "),
        ({"cpu_seconds": 0}, "cpu_seconds: "),
    ],
)
def test_wrong_settings_name_their_key(tmp_path, change, words):
    with pytest.raises(BadInput, match=words):
        make(tool={**program(tmp_path, "tool", "pass"), **change})


def _ended(pid: int) -> bool:
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells which program runs for a key")
@pytest.mark.parametrize(("seconds", "timeout", "effect"), [(0.6, 20, Effect.REPEATABLE), (20, 0.3, Effect.UNKNOWN)])
def test_a_program_that_outlived_its_service_is_waited_for_before_it_is_asked(tmp_path, seconds, timeout, effect):
    """`ABSENT` means "run it again", so it may not be said while the first run goes on."""
    sleeper = program(tmp_path, "sleeper", "time.sleep(float(sys.argv[1]))")
    argv = [sleeper["path"], str(seconds)]
    key = {"SUTURE_IDEMPOTENCY_KEY": "exec-1:act"}
    with subprocess.Popen(argv, env=key, start_new_session=True) as outlived:
        try:
            asked = make(sleeper={**sleeper, "idempotent": True}).observe(call("sleeper", timeout=timeout))
            assert asked is effect
            assert (outlived.poll() is not None) == (effect is Effect.REPEATABLE)
        finally:
            outlived.kill()
