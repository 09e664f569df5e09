import os
import signal
import time
from datetime import timedelta

import pytest

from models.domain.errors import BadInput
from service.executors.process import ProcessExecutor
from service.executors.process_inputs import ProcessInputs
from service.executors.process_supervisor import SupervisorManager
from service.executors.supervisor import Supervisor
from service.ports import Call, Effect, ExecutorError

build = ProcessExecutor.build


@pytest.fixture(scope="module")
def executor(supervised) -> ProcessExecutor:
    return build(supervised.config, supervised.context)


def call(verb: str, name: str, *, server: str = "default", timeout: float = 20, before: dict | None = None) -> Call:
    arguments = {"name": name, "server": server}
    return Call("k1", verb, arguments, timedelta(seconds=timeout), before or {})


def ensure_up(executor: ProcessExecutor, name: str) -> int:
    return executor.act(call("start", name))["pid"]


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
    assert caught.value.effect is Effect.HAPPENED


def test_stop_and_start_are_idempotent(executor):
    ensure_up(executor, "shop")
    assert executor.act(call("stop", "shop"))["pid"] is None
    again = executor.act(call("stop", "shop"))
    assert (again["pid"], again["state"]) == (None, "STOPPED")
    first = executor.act(call("start", "shop"))
    second = executor.act(call("start", "shop"))
    assert first["pid"] == second["pid"] == second["before_pid"]


def test_refusals_touch_nothing_and_carry_the_words_of_supervisor(executor):
    for name, words in (("private", "private is not allowed"), ("missing", "NO_FILE"), ("miss-spelt", "BAD_NAME")):
        with pytest.raises(ExecutorError, match=words) as caught:
            executor.act(call("start", name))
        assert not caught.value.retriable
        assert caught.value.effect is Effect.ABSENT
    with pytest.raises(ExecutorError, match=r"no supervisor 'east' is configured; there is default, tcp"):
        executor.act(call("start", "shop", server="east"))


@pytest.mark.parametrize("name", ["shop:", "shop:*", "*", "a:b:c", "shop\n", "", "shop;ls", "x" * 129, "-x", "--all"])
def test_names_that_mean_a_group_or_worse_are_refused(executor, name):
    with pytest.raises(ExecutorError, match="arguments do not fit: name") as caught:
        executor.act(call("stop", name))
    assert caught.value.effect is Effect.ABSENT


def test_the_same_process_has_one_target_however_it_is_spelt(executor):
    spellings = [{"name": "shop"}, {"name": "shop:shop"}, {"name": "shop", "server": "default"}]
    assert {executor.target("restart", each) for each in spellings} == {"process:shop"}
    assert executor.target("stop", {"name": "shop", "server": "tcp"}) == "process:tcp/shop"


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


class TestSignal:
    @pytest.fixture
    def signalling(self, supervised):
        return build({**supervised.config, "signals": {"count*": ["SIGUSR1", "TTIN"]}}, supervised.context)

    @staticmethod
    def signal(name: str, signal: str) -> Call:
        return Call("k1", "signal", {"name": name, "signal": signal}, timedelta(seconds=10))

    def test_an_allowed_signal_reaches_the_process(self, supervised, signalling):
        pid = ensure_up(signalling, "counts")
        log = supervised.socket.parent / "counted"
        wait_for(log, "up\n")
        assert "would send USR1 to process counts (RUNNING" in signalling.dry_run(self.signal("counts", "SIGUSR1"))
        outputs = [signalling.act(self.signal("counts", each)) for each in ("USR1", "SIGTTIN")]
        assert [(each["pid"], each["before_pid"], each["state"]) for each in outputs] == [(pid, pid, "RUNNING")] * 2
        wait_for(log, "up\nSIGUSR1\nSIGTTIN\n")
        assert signalling.observe(self.signal("counts", "USR1")) is Effect.UNKNOWN
        assert signalling.target("signal", self.signal("counts", "USR1").arguments) == "process:counts"

    @pytest.mark.parametrize(
        ("name", "signal", "words"),
        [
            ("counts", "KILL", "KILL is not allowed for process counts; add it to executors.process.signals"),
            ("shop", "USR1", "USR1 is not allowed for process shop"),
            ("private", "USR1", "private is not allowed"),
            ("counts", "9", "arguments do not fit: signal"),
            ("counts", "NONE", "there is no signal NONE"),
        ],
    )
    def test_others_are_refused(self, signalling, name, signal, words):
        with pytest.raises(ExecutorError, match=words) as caught:
            signalling.act(self.signal(name, signal))
        assert caught.value.effect is Effect.ABSENT

    def test_a_process_that_does_not_run_gets_none(self, signalling):
        signalling.act(call("stop", "counts"))
        with pytest.raises(ExecutorError, match="NOT_RUNNING") as caught:
            signalling.act(self.signal("counts", "USR1"))
        assert caught.value.effect is Effect.ABSENT


def wait_for(path, text: str) -> None:
    deadline = time.monotonic() + 10
    while not path.exists() or path.read_text() != text:
        assert time.monotonic() < deadline, path.read_text() if path.exists() else "nothing was written"
        time.sleep(0.02)


class TestObserve:
    def test_not_yet_run(self, executor):
        ensure_up(executor, "shop")
        before = executor.snapshot(call("restart", "shop"))
        assert executor.observe(call("restart", "shop", before=before)) is Effect.ABSENT

    def test_completed(self, executor):
        ensure_up(executor, "shop")
        before = executor.snapshot(call("restart", "shop"))
        executor.act(call("restart", "shop", before=before))
        assert executor.observe(call("restart", "shop", before=before)) is Effect.HAPPENED

    def test_a_dead_process_that_was_started(self, executor):
        executor.act(call("stop", "shop"))
        before = executor.snapshot(call("restart", "shop"))
        assert executor.observe(call("restart", "shop", before=before)) is Effect.ABSENT
        executor.act(call("restart", "shop", before=before))
        assert executor.observe(call("restart", "shop", before=before)) is Effect.HAPPENED

    def test_cut_off_between_stop_and_start_is_finished_by_running_it_again(self, executor):
        old = ensure_up(executor, "shop")
        before = executor.snapshot(call("restart", "shop"))
        executor.act(call("stop", "shop"))
        assert executor.observe(call("restart", "shop", before=before)) is Effect.ABSENT
        outputs = executor.act(call("restart", "shop", before=before))
        assert (outputs["before_pid"], outputs["state"]) == (old, "RUNNING")

    def test_without_a_snapshot_it_cannot_tell(self, executor):
        ensure_up(executor, "shop")
        assert executor.observe(call("restart", "shop")) is Effect.UNKNOWN

    def test_start_and_stop_are_read_off_the_state(self, executor):
        ensure_up(executor, "shop")
        assert executor.observe(call("start", "shop")) is Effect.HAPPENED
        assert executor.observe(call("stop", "shop")) is Effect.ABSENT


class TestSupervisorGone:
    def test_nothing_was_sent_and_it_may_work_later(self, supervised, tmp_path):
        config = {"servers": {"default": {"url": f"unix://{tmp_path}/none.sock"}}, "allow": ["*"]}
        executor = build(config, supervised.context)
        with pytest.raises(ExecutorError, match="cannot be reached") as caught:
            executor.act(call("restart", "shop"))
        assert caught.value.retriable
        assert caught.value.effect is Effect.ABSENT
        assert executor.observe(call("restart", "shop", before={"pid": 1, "start": 1})) is Effect.UNKNOWN

    def test_a_supervisor_that_hangs_does_not_hang_its_caller(self, supervised, executor):
        os.kill(supervised.process.pid, signal.SIGSTOP)
        try:
            started = time.monotonic()
            with pytest.raises(ExecutorError, match="did not answer") as caught:
                executor.act(call("restart", "shop", timeout=0.4))
            assert time.monotonic() - started < 2
            assert caught.value.effect is Effect.ABSENT  # only the look at the state was asked for
            assert caught.value.retriable
            assert (
                executor.observe(call("restart", "shop", timeout=0.2, before={"pid": 1, "start": 1})) is Effect.UNKNOWN
            )
        finally:
            os.kill(supervised.process.pid, signal.SIGCONT)

    def test_one_that_goes_away_after_the_stop_leaves_the_effect_open(self, supervised, executor):
        ensure_up(executor, "stubborn")
        time.sleep(0.3)
        server = Supervisor(f"unix://{supervised.socket}", lambda: None)
        manager = SupervisorManager(server, sleep=lambda _: os.kill(supervised.process.pid, signal.SIGSTOP))
        gone = ProcessExecutor({"default": manager}, ("*",))
        try:
            with pytest.raises(ExecutorError, match="did not answer") as caught:
                gone.act(call("restart", "stubborn", timeout=0.6))
        finally:
            os.kill(supervised.process.pid, signal.SIGCONT)
        assert caught.value.effect is Effect.UNKNOWN


def test_start_of_a_process_that_is_still_stopping_waits_for_its_end(executor):
    pid = ensure_up(executor, "stubborn")
    time.sleep(0.3)
    with pytest.raises(ExecutorError, match="it is STOPPING"):
        executor.act(call("stop", "stubborn", timeout=0.2))
    outputs = executor.act(call("start", "stubborn"))
    assert outputs["state"] == "RUNNING"
    assert outputs["pid"] != pid


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "servers: is missing"),
        ({"servers": {"default": {"url": "unix:///s"}}}, "allow: is missing"),
        ({"servers": {"default": {"url": "ftp://x"}}, "allow": ["*"]}, r"servers\.default\.url: "),
        ({"servers": {"default": {"url": "http://u:p@x"}}, "allow": ["*"]}, r"servers\.default\.url: "),
        ({"servers": {"default": {"url": "unix:///s", "username": "env:U"}}, "allow": ["*"]}, "default: .*go together"),
        ({"servers": {"default": {"url": "unix:///s"}}, "allow": ["*"], "alow": 1}, "alow: there is no such key"),
        ({"servers": {"default": {"kind": "upstart"}}, "allow": ["*"]}, r"servers\.default: "),
        (
            {"servers": {"default": {"kind": "systemd", "command": "systemctl"}}, "allow": ["*"]},
            r"servers\.default\.command: must be the absolute path",
        ),
        ({"servers": {"default": {"url": "unix:///s"}}, "allow": ["*"], "signals": {"*": ["NONE"]}}, "no signal NONE"),
        (
            {"servers": {"d": {"url": "unix:///s", "username": "plain", "password": "hunter2"}}, "allow": ["*"]},
            "given by reference",
        ),
    ],
)
def test_wrong_settings_name_their_key_and_show_no_secret(supervised, config, words):
    with pytest.raises(BadInput, match=words) as caught:
        build(config, supervised.context)
    assert "hunter2" not in str(caught.value)


def test_verbs_declare_what_a_crash_needs(executor):
    declared = {name: (verb.idempotent, verb.observable) for name, verb in executor.verbs.items()}
    expected = {"restart": (False, True), "start": (True, True), "stop": (True, True), "signal": (False, False)}
    assert declared == expected
    assert executor.verbs["restart"].inputs is ProcessInputs
