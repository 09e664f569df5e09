import time
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from evals.sandbox.config import write_settings
from evals.sandbox.sandbox import Sandbox
from models.domain.base import utc_now
from service.ports import Call, Context, Effect, ExecutorClass

Eventually = Callable[..., bool]
Act = Callable[..., Effect]


@pytest.fixture(scope="package")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One running sandbox for all tests; a test that breaks something mends it."""
    with Sandbox.start(tmp_path_factory.mktemp("sandbox")) as running:
        yield running


@pytest.fixture
def eventually() -> Eventually:
    """Whether a condition comes true within so many seconds."""

    def wait(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    return wait


@pytest.fixture
def act(sandbox: Sandbox) -> Act:
    """Uses a verb as Suture would, with the settings that the sandbox writes; what `observe` says afterwards."""
    sections = yaml.safe_load(write_settings(sandbox.layout).read_text())["executors"]
    context = Context(utc_now, lambda reference: Path(reference.removeprefix("file:")).read_text())

    def run(executor: ExecutorClass, verb: str, arguments: Mapping[str, Any], key: str = "key") -> Effect:
        built = executor.build(sections[executor.name], context)
        call = Call(key, verb, arguments, timedelta(seconds=30))
        before = built.snapshot(call)
        built.act(call)
        return built.observe(Call(key, verb, arguments, timedelta(seconds=30), before))

    return run
