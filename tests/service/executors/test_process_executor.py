"""Restarts, stops and starts of real processes under a real supervisord."""

import os
import signal
import time

import pytest

from service.executors.process import ProcessExecutor
from service.ports import Effect, ExecutorError
from tests.service.executors.process_parts import build, call, ensure_up


@pytest.fixture(scope="module")
def executor(supervised) -> ProcessExecutor:
    return build(supervised.config, supervised.context)


def test_restart_replaces_a_running_process(executor):
    old = ensure_up(executor, "shop")
    before = executor.snapshot(call("restart", "shop"))
    outputs = executor.act(call("restart", "shop", before=before))
    assert outputs["state"] == "RUNNING"
    assert outputs["before_pid"] == old == before["pid"]
    assert outputs["pid"] != old
    with pytest.raises(ProcessLookupError):
        os.kill(old, 0)
    os.kill(outputs["pid"], 0)


def test_restart_starts_a_process_that_was_killed(executor):
    pid = ensure_up(executor, "shop")
    os.kill(pid, signal.SIGKILL)
    time.sleep(0.2)
    outputs = executor.act(call("restart", "shop"))
    assert outputs["state"] == "RUNNING"
    assert outputs["before_pid"] is None


@pytest.mark.parametrize("name", ["frozen", "stubborn"])
def test_restart_ends_a_process_that_does_not_heed_sigterm(executor, name):
    pid = ensure_up(executor, name)
    if name == "frozen":
        os.kill(pid, signal.SIGSTOP)
    else:
        time.sleep(0.3)  # the interpreter needs a moment until it ignores SIGTERM
    outputs = executor.act(call("restart", name))
    assert outputs["state"] == "RUNNING"
    assert outputs["pid"] != pid


def test_restart_that_outlives_its_timeout_says_that_the_effect_is_unknown(executor):
    ensure_up(executor, "stubborn")
    time.sleep(0.3)
    started = time.monotonic()
    with pytest.raises(ExecutorError, match="did not stop in time; it is STOPPING") as caught:
        executor.act(call("restart", "stubborn", timeout=0.5))
    assert time.monotonic() - started < 1.0
    assert caught.value.effect is Effect.UNKNOWN
    executor.act(call("restart", "stubborn"))  # and a later one waits for the end and starts it


def test_a_process_that_dies_at_once_is_a_failed_restart(executor):
    with pytest.raises(ExecutorError, match="dies did not stay up: FATAL") as caught:
        executor.act(call("restart", "dies"))
    assert (caught.value.effect, caught.value.final) == (Effect.HAPPENED, True)


def test_stop_and_start_are_idempotent(executor):
    ensure_up(executor, "shop")
    assert executor.act(call("stop", "shop"))["pid"] is None
    again = executor.act(call("stop", "shop"))
    assert (again["pid"], again["state"]) == (None, "STOPPED")
    first = executor.act(call("start", "shop"))
    second = executor.act(call("start", "shop"))
    assert first["pid"] == second["pid"] == second["before_pid"]


def test_a_password_protected_tcp_port_works_and_a_wrong_password_is_said_without_showing_it(supervised, executor):
    assert "would restart process shop (" in executor.dry_run(call("restart", "shop", server="tcp"))
    wrong = build(supervised.config, supervised.context)
    supervised.secrets["SUPERVISOR_PASSWORD"] = "not-it"
    try:
        with pytest.raises(ExecutorError, match="refused the username or password") as caught:
            wrong.act(call("restart", "shop", server="tcp"))
    finally:
        supervised.secrets["SUPERVISOR_PASSWORD"] = "s3cret-words"
    assert "not-it" not in str(caught.value)
    assert caught.value.effect is Effect.ABSENT


def test_start_of_a_process_that_is_still_stopping_waits_for_its_end(executor):
    pid = ensure_up(executor, "stubborn")
    time.sleep(0.3)
    with pytest.raises(ExecutorError, match="it is STOPPING"):
        executor.act(call("stop", "stubborn", timeout=0.2))
    outputs = executor.act(call("start", "stubborn"))
    assert outputs["state"] == "RUNNING"
    assert outputs["pid"] != pid
