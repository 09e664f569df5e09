"""`process/…` on units of systemd. It does not run here: a stand-in for systemctl keeps the states (see there)."""

import json
import shutil
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from models.domain.base import utc_now
from service.executors.process import ProcessExecutor
from service.executors.systemd import read_state
from service.ports import Call, Context, Effect, ExecutorError

CONTEXT = Context(clock=utc_now, secret=lambda reference: reference)
STAND_IN = Path(__file__).with_name("systemctl_stand_in.py")

# As systemd 252 writes it, of a unit that runs.
RECORDED = """\
Id=shop.service
LoadState=loaded
ActiveState=active
SubState=running
MainPID=4711
InvocationID=5b1e0c9a4a5d4d0f8a3f0f2f6f7a9b10
Result=success
"""


class Systemd:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        script = folder / "stand_in.py"
        shutil.copy(STAND_IN, script)
        self.command = folder / "systemctl"
        self.command.write_text(f'#!/bin/sh\nexec {sys.executable} {script} "$@"\n')
        self.command.chmod(0o755)
        running = {"ActiveState": "active", "SubState": "running", "MainPID": "4711", "InvocationID": "a" * 32}
        self.units = {
            "shop.service": running,
            "worker@1.service": {"ActiveState": "inactive", "SubState": "dead"},
            "web.service": {**running, "Id": "nginx.service"},
            "masked.service": {**running, "LoadState": "masked"},
        }
        self.write()

    def write(self) -> None:
        new = self.folder / "units.new"
        new.write_text(json.dumps(self.units))
        new.replace(self.folder / "units.json")

    def now(self, name: str) -> dict:
        return json.loads((self.folder / "units.json").read_text())[name]

    @property
    def calls(self) -> list[dict]:
        path = self.folder / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def executor(self, **more) -> ProcessExecutor:
        server = {"kind": "systemd", "command": str(self.command), **more}
        allow = ["shop.service", "worker@*.service", "web.service", "masked.service", "gone.service"]
        return ProcessExecutor.build({"servers": {"default": server}, "allow": allow}, CONTEXT)


@pytest.fixture
def systemd(tmp_path) -> Systemd:
    return Systemd(tmp_path)


def call(verb: str, name: str = "shop.service", *, timeout: float = 20, before: dict | None = None) -> Call:
    return Call("k1", verb, {"name": name}, timedelta(seconds=timeout), before or {})


def test_the_argument_lists_and_the_environment_are_these(systemd, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1")
    monkeypatch.setenv("HIDDEN", "no")
    systemd.executor().act(call("restart"))
    systemd.executor(user=True).act(call("stop"))
    quiet = ["--no-pager", "--no-ask-password"]
    show = ["show", "--property=Id,LoadState,ActiveState,SubState,MainPID,InvocationID,Result", "--", "shop.service"]
    whole = ["--system", *quiet]
    mine = ["--user", *quiet]
    assert [each["argv"] for each in systemd.calls] == [
        [*whole, *show], [*whole, "restart", "--", "shop.service"], [*whole, *show],
        [*mine, *show], [*mine, "stop", "--", "shop.service"], [*mine, *show],
    ]  # fmt: skip
    assert not any("HIDDEN" in each["environment"] for each in systemd.calls)
    assert ["XDG_RUNTIME_DIR" in each["environment"] for each in systemd.calls] == [False] * 3 + [True] * 3


def test_restart_start_and_stop(systemd):
    executor = systemd.executor()
    assert executor.dry_run(call("restart")) == "would restart process shop.service (active, running, pid 4711)"
    assert executor.snapshot(call("restart")) == {"pid": 4711, "state": "active", "run": "a" * 32}
    restarted = executor.act(call("restart"))
    assert (restarted["before_pid"], restarted["state"]) == (4711, "active")
    assert restarted["pid"] == int(systemd.now("shop.service")["MainPID"]) != 4711
    assert executor.act(call("stop"))["pid"] is None
    assert executor.act(call("start", "worker@1.service"))["state"] == "active"
    assert executor.target("restart", {"name": "shop.service"}) == "process:shop.service"


class TestObserve:
    def test_a_restart_is_told_by_the_id_of_the_last_start(self, systemd):
        executor = systemd.executor()
        before = executor.snapshot(call("restart"))
        again = call("restart", before=before)
        assert executor.observe(again) is Effect.ABSENT
        executor.act(again)
        assert executor.observe(again) is Effect.HAPPENED, "as after a crash between the act and its record"
        assert executor.observe(call("restart")) is Effect.UNKNOWN, "nothing was remembered"

    def test_cut_off_between_stop_and_start_it_is_run_again(self, systemd):
        executor = systemd.executor()
        before = executor.snapshot(call("restart"))
        executor.act(call("stop"))
        assert executor.observe(call("restart", before=before)) is Effect.REPEATABLE
        assert executor.act(call("restart", before=before))["before_pid"] == 4711

    def test_start_and_stop_are_read_off_the_state_and_what_is_on_its_way_is_not_known(self, systemd):
        executor = systemd.executor()
        assert [executor.observe(call(verb)) for verb in ("start", "stop")] == [Effect.HAPPENED, Effect.ABSENT]
        systemd.units["shop.service"] = {"ActiveState": "deactivating", "SubState": "stop-sigterm"}
        systemd.write()
        observed = {executor.observe(call(verb, timeout=0.4)) for verb in ("start", "stop", "restart")}
        assert observed == {Effect.UNKNOWN}

    def test_a_restart_with_which_systemd_goes_on_is_waited_for(self, systemd):
        executor = systemd.executor()
        before = executor.snapshot(call("restart"))
        systemd.units["shop.service"] |= {"ActiveState": "deactivating"}
        systemd.write()
        ended = {"ActiveState": "active", "SubState": "running", "InvocationID": "b" * 32}
        systemd.units["shop.service"] |= ended
        later = threading.Timer(0.3, systemd.write)
        later.start()
        assert executor.observe(call("restart", before=before)) is Effect.HAPPENED
        later.join()


@pytest.mark.parametrize(
    ("mood", "words", "effect"),
    [
        ("denied", "ended with 4: Failed to restart shop.service: Access denied", Effect.ABSENT),
        ("dies", "ended with 1: Job for shop.service failed", Effect.UNKNOWN),
        ("again", "did not stay up: activating, auto-restart, result exit-code", Effect.HAPPENED),
    ],
)
def test_a_restart_that_fails_says_what_systemctl_said(systemd, mood, words, effect):
    systemd.units["shop.service"]["mood"] = mood
    systemd.write()
    with pytest.raises(ExecutorError, match=words) as caught:
        systemd.executor().act(call("restart"))
    assert (caught.value.effect, caught.value.retriable) == (effect, False)


def test_a_job_that_outlives_the_timeout_may_still_end_well(systemd):
    systemd.units["shop.service"]["mood"] = "hangs"
    systemd.write()
    with pytest.raises(ExecutorError, match=r"systemctl restart shop\.service did not end in time") as caught:
        systemd.executor().act(call("restart", timeout=1.5))
    assert caught.value.effect is Effect.UNKNOWN


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("shop", "not the whole name of a service; write for example shop.service"),
        ("shop.socket", "not the whole name"),
        ("--force.service", "arguments do not fit"),
        ("*.service", "arguments do not fit"),
        ("sshd.service", "sshd.service is not allowed"),
        ("gone.service", "cannot be used: not-found"),
        ("masked.service", "cannot be used: masked"),
        ("web.service", "is another name of nginx.service; use that"),
    ],
)
def test_refusals_change_nothing(systemd, name, words):
    executor = systemd.executor()
    for method in (executor.act, executor.dry_run, executor.snapshot):
        with pytest.raises(ExecutorError, match=words) as caught:
            method(call("restart", name))
        assert caught.value.effect is Effect.ABSENT
    assert all("show" in each["argv"] for each in systemd.calls)


def test_signals_are_for_supervisor_alone(systemd):
    server = {"kind": "systemd", "command": str(systemd.command)}
    settings = {"servers": {"default": server}, "allow": ["*"], "signals": {"*": ["HUP"]}}
    executor = ProcessExecutor.build(settings, CONTEXT)
    arguments = {"name": "shop.service", "signal": "HUP"}
    with pytest.raises(ExecutorError, match="signals are for processes under supervisor"):
        executor.act(Call("k", "signal", arguments, timedelta(seconds=5)))
    assert systemd.calls == []


def test_a_recorded_answer_is_read_and_anything_else_is_refused():
    state = read_state("shop.service", RECORDED)
    assert str(state) == "active, running, pid 4711"
    assert state.run == "5b1e0c9a4a5d4d0f8a3f0f2f6f7a9b10"
    for text, words in (
        ("", "does not show Id, LoadState"),
        (RECORDED.replace("MainPID=4711", "MainPID=[not set]"), "does not show the pid"),
        (RECORDED.replace("LoadState=loaded", "LoadState=bad-setting"), "bad-setting"),
    ):
        with pytest.raises(ExecutorError, match=words) as caught:
            read_state("shop.service", text)
        assert caught.value.effect is Effect.ABSENT


@pytest.mark.skipif(
    Path("/run/systemd/system").exists() or not Path("/usr/bin/systemctl").exists(),
    reason="asks a real systemctl where no systemd runs",
)
def test_a_real_systemctl_without_a_systemd_is_an_error_in_its_words():
    settings = {"servers": {"default": {"kind": "systemd"}}, "allow": ["*"]}
    with pytest.raises(ExecutorError, match=r"systemctl show shop\.service ended with 1: .*systemd") as caught:
        ProcessExecutor.build(settings, CONTEXT).act(call("restart"))
    assert caught.value.effect is Effect.ABSENT
