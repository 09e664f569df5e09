"""Runs of real programs: what they are given and print, how they end, and what is known of their effect."""

import os
import resource
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from service.executors.outlived import running
from service.ports import Effect, ExecutorError
from tests.service.executors.script_parts import call, ended, make, program


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
        assert ended(pid)


def test_a_cancelled_run_is_ended_and_its_effect_is_for_observe_to_tell(tmp_path):
    text = f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); print('half', file=sys.stderr, flush=True)\n"
    config = program(tmp_path, "slow", f"if sys.argv[1:] == ['--done']: sys.exit(0)\n{text}time.sleep(60)")
    executor = make(slow={**config, "observe": ["--done"]})
    stopped = replace(call("slow"), cancelled=(tmp_path / "pid").exists)
    with pytest.raises(ExecutorError, match="since the execution was cancelled: half") as caught:
        executor.act(stopped)
    assert caught.value.effect is Effect.UNKNOWN
    assert not caught.value.retriable
    assert ended(int((tmp_path / "pid").read_text()))
    assert executor.observe(stopped) is Effect.HAPPENED, "what is asked after a cancellation is not itself cancelled"


def test_a_daemon_that_keeps_the_streams_open_does_not_hold_up_the_run(tmp_path):
    text = "child = subprocess.Popen(['sleep', '30'], start_new_session=True); print(child.pid)"
    started = time.monotonic()
    outputs = make(daemon=program(tmp_path, "daemon", text)).act(call("daemon"))
    assert time.monotonic() - started < 5
    os.kill(int(outputs["stdout"]), 9)  # it was left alone: a program may start a service


def test_observe_asks_the_program_or_goes_by_what_is_declared(tmp_path):
    text = "sys.exit(int(sys.argv[2]) if sys.argv[1] == '--happened' else 0)"
    config = {**program(tmp_path, "tool", text), "args_pattern": "[0-9]"}
    asked = make(tool={**config, "observe": ["--happened"]})
    assert [asked.observe(call("tool", code)) for code in "017"] == [Effect.HAPPENED, Effect.ABSENT, Effect.UNKNOWN]
    assert make(tool=config).observe(call("tool", "0")) is Effect.UNKNOWN
    assert make(tool={**config, "idempotent": True}).observe(call("tool", "0")) is Effect.REPEATABLE


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells which program runs for a key")
@pytest.mark.parametrize(("seconds", "timeout", "effect"), [(0.6, 20, Effect.REPEATABLE), (20, 0.3, Effect.UNKNOWN)])
def test_a_program_that_outlived_its_service_is_waited_for_before_it_is_asked(tmp_path, seconds, timeout, effect):
    """`ABSENT` means "run it again", so it may not be said while the first run goes on."""
    sleeper = program(tmp_path, "sleeper", "time.sleep(float(sys.argv[1]))")
    argv = [sleeper["path"], str(seconds)]
    key = {"SUTURE_IDEMPOTENCY_KEY": "exec-1:act"}
    with subprocess.Popen(argv, env=key, start_new_session=True) as outlived:
        try:
            while not running("exec-1:act") and outlived.poll() is None:
                time.sleep(0.01)  # the system shows a program's environment a moment after its start
            asked = make(sleeper={**sleeper, "idempotent": True}).observe(call("sleeper", timeout=timeout))
            assert asked is effect
            assert (outlived.poll() is not None) == (effect is Effect.REPEATABLE)
        finally:
            outlived.kill()
