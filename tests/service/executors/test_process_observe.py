"""What is known of an effect: asked of supervisor after the act, and where supervisor itself is gone."""

import os
import signal
import time

import pytest

from models.domain.base import utc_now
from service.executors.process import ProcessExecutor
from service.executors.process_supervisor import SupervisorManager
from service.executors.supervisor import Supervisor
from service.ports import Context, Effect, ExecutorError
from service.security.secrets import resolve_secret
from tests.service.executors.process_parts import build, call, ensure_up


@pytest.fixture(scope="module")
def executor(supervised) -> ProcessExecutor:
    return build(supervised.config, supervised.context)


class TestObserve:
    def test_not_yet_run(self, executor):
        ensure_up(executor, "shop")
        before = executor.snapshot(call("restart", "shop"))
        assert executor.observe(call("restart", "shop", before=before)) is Effect.ABSENT

    def test_completed(self, executor):
        ensure_up(executor, "shop")
        before = executor.snapshot(call("restart", "shop"))
        outputs = executor.act(call("restart", "shop", before=before))
        assert executor.observe(call("restart", "shop", before=before)) is Effect.HAPPENED
        again = executor.act(call("restart", "shop", before=before))
        assert again == outputs, "the same call does not stop what it has started"

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
        assert executor.observe(call("restart", "shop", before=before)) is Effect.REPEATABLE
        outputs = executor.act(call("restart", "shop", before=before))
        assert (outputs["before_pid"], outputs["state"]) == (old, "RUNNING")

    def test_a_process_that_is_still_ending_is_not_as_it_was(self, supervised, executor):
        ensure_up(executor, "stubborn")
        time.sleep(0.3)  # until it ignores the signal
        before = executor.snapshot(call("restart", "stubborn"))
        with pytest.raises(ExecutorError, match="did not stop in time; it is STOPPING") as caught:
            executor.act(call("restart", "stubborn", timeout=0.3, before=before))
        assert caught.value.effect is Effect.UNKNOWN
        assert executor.observe(call("restart", "stubborn", before=before)) is Effect.REPEATABLE
        assert executor.observe(call("stop", "stubborn")) is Effect.UNKNOWN
        assert executor.act(call("restart", "stubborn", before=before))["before_pid"] == before["pid"]

    def test_a_password_that_can_be_read_no_more_is_found_before_anything_is_sent(self, supervised):
        secrets = dict(supervised.secrets)
        context = Context(clock=utc_now, secret=lambda reference: resolve_secret(reference, secrets))
        remote = build(supervised.config, context)
        secrets.clear()
        with pytest.raises(ExecutorError, match="SUPERVISOR_USER") as caught:
            remote.act(call("restart", "shop", server="tcp"))
        assert caught.value.effect is Effect.ABSENT

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
