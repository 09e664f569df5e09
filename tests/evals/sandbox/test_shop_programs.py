"""What `script/run` may run: other releases, other numbers of workers. What each cures stands in test_faults."""

import os
import signal

import psutil
import pytest

from evals.sandbox.releases import Releases
from evals.sandbox.sandbox import Sandbox
from models.domain.base import utc_now
from models.domain.errors import BadInput
from service.executors.script import ScriptExecutor
from service.ports import ExecutorError


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


def test_a_worker_that_was_killed_is_replaced_and_counted_once(sandbox: Sandbox, eventually) -> None:
    assert eventually(sandbox.serving)
    master = psutil.Process(sandbox.supervisor.process("shop").pid)
    worker = next(one for one in master.children() if "spawn_main" in " ".join(one.cmdline()))
    os.kill(worker.pid, signal.SIGKILL)
    assert eventually(lambda: worker.pid not in {one.pid for one in master.children()})
    assert eventually(sandbox.serving)
    assert sandbox.metrics("shop")["shop_workers"] == 1
