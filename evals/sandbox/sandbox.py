"""The sandbox: a database, a shop with its standby, a front door, customers: real processes below one folder."""

from __future__ import annotations

import ssl
import subprocess
import sys
import time
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from prometheus_client.parser import text_string_to_metric_families
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_fixed

from evals.sandbox import authority, keeper, postgres
from evals.sandbox.layout import METRICS_FOLDERS, PROGRAMS, SERVER_NAME, Layout
from evals.sandbox.load import set_load
from evals.sandbox.releases import Releases
from evals.sandbox.routing import switch
from evals.sandbox.scripts import write_scripts
from evals.sandbox.supervision import Supervisor, write_configuration
from models.domain.base import utc_now
from models.domain.errors import Unavailable

START_SECONDS = 120.0
"""Start takes about 4 s on two idle cores; a busy machine gets this long."""
STABLE_FOR = timedelta(days=7)
"""How long the shop's stable release is said to have run when the sandbox starts."""


class Sandbox:
    """A running sandbox. As a context manager it is stopped at the end of the block, whatever happens there.

    It also stops when the process that started it ends in any way, SIGKILL included (see `keeper`).
    """

    def __init__(self, layout: Layout, keeper_process: subprocess.Popen[bytes] | None) -> None:
        """`start` and `attach` are the ways in."""
        self.layout = layout
        self.supervisor = Supervisor(layout)
        self._keeper = keeper_process

    @classmethod
    def start(cls, folder: Path, *, seed: int = 1) -> Self:
        """Start everything below `folder`, which is made where missing; return when the shop serves its customers.

        Raises BadInput where the folder cannot be used or PostgreSQL cannot run, Unavailable with the last log line
        of the program that did not come up in START_SECONDS.
        """
        layout = Layout.create(folder)
        _furnish(layout)
        postgres.prepare(layout)
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", write_configuration(layout, seed)]
        with layout.log("keeper").open("wb") as log:
            sandbox = cls(layout, keeper.launch(command, stdout=log, stderr=log))
        try:
            sandbox._wait_until_serving()
        except BaseException:
            sandbox.stop()
            raise
        return sandbox

    @classmethod
    def attach(cls, folder: Path) -> Self:
        """A sandbox that another process started and will stop. Raises BadInput where there is none."""
        return cls(Layout.load(folder.resolve()), None)

    def stop(self) -> None:
        """End every process, and return when all are gone. The folder stays, with the logs. Twice is harmless."""
        if self._keeper is not None:
            keeper.release(self._keeper)
            self._keeper = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def metrics(self, program: str, timeout: float = 2.0) -> dict[str, float]:
        """One scrape of a program: each sample's value by its name with labels, `name{key="value",…}`, keys sorted.

        Raises Unavailable where it does not answer within `timeout` seconds.
        """
        try:
            answer = _get(self.layout.url(program), timeout)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise Unavailable(f"{program} does not answer: {error}") from error
        return {
            _series(sample.name, sample.labels): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        }

    def visit(self, path: str = "/products", timeout: float = 2.0) -> httpx.Response:
        """What a customer gets at the front door, whose certificate is checked. Raises httpx.HTTPError."""
        with httpx.Client(
            verify=ssl.create_default_context(cafile=self.layout.authority[0]), trust_env=False
        ) as client:
            url = f"{self.layout.front_door}{path}"
            return client.get(url, timeout=timeout, extensions={"sni_hostname": SERVER_NAME})

    def serving(self) -> bool:
        """Whether the database takes clients, both shops answer from it, and customers get in and are counted."""
        with suppress(Unavailable, httpx.HTTPError):
            shops = [self.layout.url(name, "/products") for name in METRICS_FOLDERS]
            answers = [self.visit(), *(httpx.get(url, timeout=2.0, trust_env=False) for url in shops)]
            return (
                all(answer.status_code == httpx.codes.OK for answer in answers)
                and self.metrics("db-exporter")["pg_up"] == 1
                and self.metrics("loadgen")['client_requests_total{code="200"}'] > 0
            )
        return False

    def starts(self, program: str, since: datetime) -> int:
        """How often supervisor started a program since then, by its own log."""
        lines = self.layout.log("supervisord").read_text(errors="replace").splitlines()
        spawned = [line[:19] for line in lines if f"spawned: '{program}' " in line]
        # supervisor writes local time, to the second.
        return sum(datetime.fromisoformat(at).astimezone() >= since.replace(microsecond=0) for at in spawned)

    def _wait_until_serving(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self.serving():
            ended = self._keeper is not None and self._keeper.poll() is not None
            if ended or time.monotonic() > deadline:
                raise Unavailable(f"the sandbox did not start: {self._complaint()}")
            time.sleep(0.1)

    def _complaint(self) -> str:
        """The last line of the first program that printed any, supervisor's own where none did."""
        for name in (*PROGRAMS, "supervisord", "keeper"):
            log = self.layout.log(name)
            lines = log.read_text(errors="replace").split("\n") if log.exists() else []
            words = [line for line in lines if line.strip()]
            if words and not (name == "postgres" and "ready to accept connections" in log.read_text()):
                return f"{name}: {words[-1]} (logs in {log.parent})"
        return f"no program said why (logs in {self.layout.folder / 'logs'})"


def _furnish(layout: Layout) -> None:
    """Write what the programs read at their start."""
    authority.create(layout)
    Releases(layout.releases).create(utc_now() - STABLE_FOR)
    set_load(layout, "base")
    switch(layout, "primary")
    write_scripts(layout)


@retry(
    retry=retry_if_exception_type((httpx.ReadError, httpx.RemoteProtocolError)),
    stop=stop_after_attempt(4),
    wait=wait_fixed(0.2),
    reraise=True,
)
def _get(url: str, timeout: float) -> httpx.Response:
    """Asked again where the connection broke: a worker that ends takes those with it that it just accepted."""
    return httpx.get(url, timeout=timeout, trust_env=False)


def _series(name: str, labels: dict[str, str]) -> str:
    inside = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
    return f"{name}{{{inside}}}" if inside else name
