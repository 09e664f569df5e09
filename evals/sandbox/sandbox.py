"""The sandbox: a database, a shop, its customers and an exporter as real processes below one folder."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from prometheus_client.parser import text_string_to_metric_families

from evals.sandbox import keeper, postgres
from evals.sandbox.layout import PROGRAMS, Layout
from evals.sandbox.supervision import Supervisor, write_configuration
from models.domain.errors import Unavailable

START_SECONDS = 30.0
"""Start takes about 4 s on two idle cores; a busy machine gets this long."""


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
            answer = httpx.get(self.layout.url(program), timeout=timeout, trust_env=False)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise Unavailable(f"{program} does not answer: {error}") from error
        return {
            _series(sample.name, sample.labels): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        }

    def serving(self) -> bool:
        """Whether the database takes clients, the shop answers from it, and customers are counted."""
        with suppress(Unavailable, httpx.HTTPError):
            products = httpx.get(self.layout.url("shop", "/products"), timeout=2.0, trust_env=False)
            return (
                products.status_code == 200
                and self.metrics("db-exporter")["pg_up"] == 1
                and self.metrics("loadgen")['client_requests_total{code="200"}'] > 0
            )
        return False

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


def _series(name: str, labels: dict[str, str]) -> str:
    inside = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
    return f"{name}{{{inside}}}" if inside else name
