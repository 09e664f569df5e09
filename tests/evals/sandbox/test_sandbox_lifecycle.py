"""Nothing is left behind, however the sandbox or its starter ends; errors say what to mend."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import yaml

from evals.sandbox import authority, keeper
from evals.sandbox.config import write_settings
from evals.sandbox.layout import PROGRAMS, Layout
from evals.sandbox.sandbox import Sandbox
from models.domain.errors import BadInput, Unavailable
from models.domain.execution import Mode
from models.domain.topology import Topology
from service.settings import load_settings

STARTER = """
import signal, sys, time
from pathlib import Path
from evals.sandbox.faults import fault_of
from evals.sandbox.sandbox import Sandbox

# A test run in the background of a shell hands down that SIGINT is ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
with Sandbox.start(Path(sys.argv[1])) as sandbox:
    for name in sys.argv[2:]:
        fault_of(name, sandbox).inject()
    print("ready", flush=True)
    time.sleep(120)
"""


@contextmanager
def started(folder: Path, *faults: str) -> Iterator[tuple[subprocess.Popen[str], list[psutil.Process]]]:
    """A process that started a sandbox, and all processes below it."""
    with subprocess.Popen(
        [sys.executable, "-c", STARTER, str(folder), *faults], stdout=subprocess.PIPE, text=True
    ) as starter:
        try:
            assert starter.stdout is not None
            assert starter.stdout.readline() == "ready\n"
            below = psutil.Process(starter.pid).children(recursive=True)
            assert len(below) > 10
            yield starter, below
        finally:
            starter.kill()


def test_all_processes_end_when_the_starter_is_killed_amid_faults(tmp_path: Path) -> None:
    with started(tmp_path / "s", "hang_service", "exhaust_connections") as (starter, below):
        starter.kill()
        _, alive = psutil.wait_procs(below, timeout=20)
    assert alive == []


def test_all_processes_end_on_ctrl_c(tmp_path: Path) -> None:
    with started(tmp_path / "s") as (starter, below):
        starter.send_signal(signal.SIGINT)
        starter.wait(20)
        assert [one for one in below if one.is_running()] == []


def test_all_processes_end_when_the_keeper_is_killed(tmp_path: Path) -> None:
    configuration = tmp_path / "supervisord.conf"
    configuration.write_text(
        f"[supervisord]\nnodaemon = true\nlogfile = {tmp_path}/log\npidfile = {tmp_path}/pid\n"
        "[program:one]\ncommand = sleep 100\n[program:two]\ncommand = sleep 100\n"
    )
    kept = keeper.launch([sys.executable, "-m", "supervisor.supervisord", "-c", str(configuration)])
    try:
        process, deadline = psutil.Process(kept.pid), time.monotonic() + 20
        while len(below := process.children(recursive=True)) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        kept.kill()
        _, alive = psutil.wait_procs(below, timeout=20)
        assert alive == []
    finally:
        keeper.release(kept)


def test_a_program_that_cannot_start_is_named_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evals.sandbox.sandbox.START_SECONDS", 3.0)
    monkeypatch.setattr("evals.sandbox.postgres.MAX_CONNECTIONS", 1)  # PostgreSQL refuses this configuration
    with pytest.raises(Unavailable, match=r"postgres: .*superuser_reserved_connections"):
        Sandbox.start(tmp_path / "s")
    assert [one for one in psutil.Process().children(recursive=True) if one.cwd().startswith(str(tmp_path))] == []


def test_a_folder_that_cannot_be_used_is_refused(tmp_path: Path, sandbox: Sandbox) -> None:
    with pytest.raises(BadInput, match="already holds a sandbox"):
        Sandbox.start(sandbox.layout.folder)
    with pytest.raises(BadInput, match="too long"):
        Sandbox.start(tmp_path / ("x" * 100))
    with pytest.raises(BadInput, match="holds no sandbox"):
        Sandbox.attach(tmp_path)


def test_another_process_can_attach(sandbox: Sandbox) -> None:
    attached = Sandbox.attach(sandbox.layout.folder)
    assert attached.supervisor.process("shop").state == "RUNNING"
    attached.stop()
    assert sandbox.serving()


def test_the_settings_are_read_and_cover_every_program(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUTURE_CONFIG", str(write_settings(sandbox.layout, mode="observe")))
    settings = load_settings()
    assert settings.mode is Mode.OBSERVE
    assert settings.mode_of("sandbox") is Mode.AUTO
    assert {target.labels["process"] for target in settings.scrape} == {*PROGRAMS} - {"db-exporter"}
    assert settings.topology is not None
    topology = Topology.model_validate(yaml.safe_load(settings.topology.read_text()))
    assert topology.connected("shop", "orders-db")
    assert topology.connected("proxy", "shop")


def test_passwords_and_keys_are_for_the_owner_only(tmp_path: Path) -> None:
    layout = Layout.create(tmp_path / "s")
    authority.create(layout)
    for secret in (layout.folder / "sandbox.json", layout.authority[1], layout.certificate[1]):
        assert secret.stat().st_mode & 0o777 == 0o600
    assert layout.folder.stat().st_mode & 0o777 == 0o700
    assert Layout.load(layout.folder) == layout
