"""The real service as a child process, and its REST API as a client sees it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from prometheus_client.parser import text_string_to_metric_families

from evals.sandbox import keeper
from evals.sandbox.layout import HOST, free_ports
from models.domain.errors import Conflict, NotFound, Unavailable

READY_SECONDS = 300.0
"""A cold first start builds the index and imports much; warm it takes below 5 s."""
_SUTURE = (sys.executable, "-c", "from service.cli.main import run; run()")


class RunningService:
    """`suture serve`, until `stop` or the end of this process. A context manager."""

    def __init__(self, process: subprocess.Popen[bytes], url: str, state_dir: Path, log: Path) -> None:
        """`start` is the way in."""
        self.url = url
        self.state_dir = state_dir
        self.log = log
        self._process = process
        self._client = httpx.Client(base_url=url, timeout=10.0, trust_env=False)

    @classmethod
    def start(cls, settings: Path, folder: Path, environment: Mapping[str, str] | None = None) -> Self:
        """Start the service with a settings file, its state in `folder/state`; return when `/readyz` says so.

        `environment` is added to that of this process. Raises Unavailable with the last line of its log where it ends
        or is not ready in READY_SECONDS.
        """
        port = free_ports(("service",))["service"]
        state_dir, log = folder / "state", folder / "logs" / "service.log"
        variables = {**os.environ, **(environment or {}), "SUTURE_CONFIG": str(settings)}
        command = [*_SUTURE, "serve", "--host", HOST, "--port", str(port), "--data", str(state_dir)]
        with log.open("ab") as stream:
            process = keeper.launch(command, env=variables, stdout=stream, stderr=stream)
        service = cls(process, f"http://{HOST}:{port}", state_dir, log)
        try:
            service._wait_until_ready()
        except BaseException:
            service.stop()
            raise
        return service

    def stop(self) -> None:
        """End it as SIGTERM does, and wait. Twice is harmless."""
        self._client.close()
        keeper.release(self._process)

    def get(self, path: str, **parameters: str | int) -> Any:
        """A GET's JSON. Raises NotFound, Conflict, or Unavailable with the words of any other failure."""
        return self._answer("GET", path, params=parameters)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """A POST's JSON. Raises as `get` does."""
        return self._answer("POST", path, json=body)

    def metrics(self) -> dict[str, float]:
        """The service's own metrics without labels, by their names."""
        try:
            text = self._client.get("/metrics").raise_for_status().text
        except httpx.HTTPError as error:
            raise Unavailable(f"the service's metrics cannot be read: {error}") from error
        families = text_string_to_metric_families(text)
        return {s.name: s.value for family in families for s in family.samples if not s.labels}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _answer(self, method: str, path: str, **options: Any) -> Any:
        key = (self.state_dir / "admin.key").read_text().strip()
        try:
            answer = self._client.request(method, path, headers={"Authorization": f"Bearer {key}"}, **options)
        except httpx.HTTPError as error:
            raise Unavailable(f"the service does not answer: {error}; its log: {self._last_line()}") from error
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise NotFound(f"{path}: {answer.text}")
        if answer.status_code == httpx.codes.CONFLICT:
            raise Conflict(f"{method} {path}: {answer.text}")
        if answer.is_error:
            raise Unavailable(f"{method} {path} was answered {answer.status_code}: {answer.text}")
        return answer.json()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while True:
            with suppress(httpx.HTTPError):
                if self._client.get("/readyz").is_success:
                    return
            if self._process.poll() is not None:
                raise Unavailable(f"the service ended: {self._last_line()}")
            if time.monotonic() > deadline:
                raise Unavailable(f"the service was not ready in {READY_SECONDS:.0f} s: {self._last_line()}")
            time.sleep(0.1)

    def _last_line(self) -> str:
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        return lines[-1] if lines else "it printed nothing"
