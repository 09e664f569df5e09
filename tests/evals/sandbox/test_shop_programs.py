"""What `script/run` may run: other releases, other numbers of workers; each can be asked whether it happened."""

import os
import signal
import time

import psutil
import pytest

from evals.sandbox.load import set_load
from evals.sandbox.releases import Releases
from evals.sandbox.sandbox import Sandbox
from models.domain.base import utc_now
from models.domain.errors import BadInput
from service.executors.script import ScriptExecutor
from service.ports import Effect, ExecutorError


def mean_latency(sandbox: Sandbox, seconds: float) -> float:
    """Of the customers of so many seconds."""
    before = sandbox.metrics("loadgen")
    time.sleep(seconds)
    after = sandbox.metrics("loadgen")
    grown = [
        after[f"client_request_duration_seconds_{part}"] - before[f"client_request_duration_seconds_{part}"]
        for part in ("sum", "count")
    ]
    return grown[0] / grown[1]


def release(sandbox: Sandbox) -> list[str]:
    return [name for name in sandbox.metrics("shop") if name.startswith("shop_release_info")]


def test_a_release_is_deployed_and_the_stable_one_brought_back(sandbox: Sandbox, eventually, act) -> None:
    assert eventually(sandbox.serving)
    healthy = mean_latency(sandbox, 2)
    try:
        assert act(ScriptExecutor, "run", {"program": "shop-release", "args": ["v2"]}, key="a") is Effect.HAPPENED
        assert release(sandbox) == ['shop_release_info{version="v2"}']
        assert eventually(lambda: mean_latency(sandbox, 1) > 4 * healthy)
    finally:
        effect = act(ScriptExecutor, "run", {"program": "shop-release", "args": ["stable"]}, key="b")
    assert effect is Effect.HAPPENED
    assert release(sandbox) == ['shop_release_info{version="v1"}']
    # One pid file less: the shop that ran v2 is gone, and the standby was never touched.
    assert sandbox.metrics("shop-standby")['shop_release_info{version="v1"}'] == 1


def test_a_release_that_does_not_exist_and_an_option_are_refused(sandbox: Sandbox, eventually, act) -> None:
    assert eventually(sandbox.serving)
    with pytest.raises(ExecutorError, match="no release 'v9': choose one of v1, v2"):
        act(ScriptExecutor, "run", {"program": "shop-release", "args": ["v9"]})
    with pytest.raises(ExecutorError, match="args_pattern"):
        act(ScriptExecutor, "run", {"program": "shop-release", "args": ["--observe"]})
    with pytest.raises(ExecutorError, match="from 1 to 4"):
        act(ScriptExecutor, "run", {"program": "shop-workers", "args": ["9"]})
    assert sandbox.serving()


def test_what_was_left_behind_does_not_become_stable(tmp_path) -> None:
    releases = Releases(tmp_path)
    releases.create(utc_now())
    releases.deploy("v2", utc_now(), "a")
    assert (releases.resolve("stable"), releases.resolve("previous"), releases.pointed()) == ("v1", "v1", "v2")
    releases.deploy("v1", utc_now(), "b")
    assert (releases.resolve("stable"), releases.resolve("previous"), releases.pointed()) == ("v1", "v2", "v1")
    # The same execution once more, after a crash: `previous` means what it meant at first, and is recorded once.
    releases.deploy(releases.resolve("previous", "c"), utc_now(), "c")
    releases.deploy(releases.resolve("previous", "c"), utc_now(), "c")
    assert [one.version for one in releases.history().deployments] == ["v1", "v2", "v1", "v2"]
    with pytest.raises(BadInput, match="choose one of v1, v2, stable or previous"):
        releases.resolve("../v1")


def test_more_workers_bring_an_overloaded_shop_down_to_work(sandbox: Sandbox, eventually, act) -> None:
    assert eventually(sandbox.serving)
    set_load(sandbox.layout, "peak")
    try:
        assert eventually(lambda: sandbox.metrics("shop")["shop_worker_utilisation"] > 0.8, 30)
        assert act(ScriptExecutor, "run", {"program": "shop-workers", "args": ["3"]}) is Effect.HAPPENED
        assert sandbox.metrics("shop")["shop_workers"] == 3
        assert eventually(lambda: sandbox.metrics("shop")["shop_worker_utilisation"] < 0.7, 30)
    finally:
        set_load(sandbox.layout, "base")
        effect = act(ScriptExecutor, "run", {"program": "shop-workers", "args": ["1"]})
    assert effect is Effect.HAPPENED
    assert sandbox.metrics("shop")["shop_workers"] == 1


def test_a_worker_that_was_killed_is_replaced_and_counted_once(sandbox: Sandbox, eventually) -> None:
    assert eventually(sandbox.serving)
    master = psutil.Process(sandbox.supervisor.process("shop").pid)
    worker = next(one for one in master.children() if "spawn_main" in " ".join(one.cmdline()))
    os.kill(worker.pid, signal.SIGKILL)
    assert eventually(lambda: worker.pid not in {one.pid for one in master.children()})
    assert eventually(sandbox.serving)
    assert sandbox.metrics("shop")["shop_workers"] == 1
