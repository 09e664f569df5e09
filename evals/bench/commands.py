"""The command line and the service as a user meets them: whole processes, started cold."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median

import httpx

from evals.bench.figures import Figure, timed
from retrieval.cache_folder import cache_folder
from retrieval.minilm import MiniLM

SUTURE = [sys.executable, "-c", "from service.cli.main import run; run()"]
_START_SECONDS = 60.0
_SETTLE_SECONDS = 3.0


def bench_help(folder: Path) -> list[Figure]:
    """`suture --help` beside Python's own start."""
    asked = _seconds([*SUTURE, "--help"], folder, 9)
    bare = _seconds([sys.executable, "-c", "pass"], folder, 9)
    return [Figure("suture --help", asked * 1000, "ms", bare * 1000, "median of 9; peer: python -c pass")]


def bench_recommend(folder: Path) -> list[Figure]:
    """`suture recommend` for an incident of the library, its vectors remembered; the incident's are never."""
    incident = {
        "title": "Checkout fails",
        "services": ["orders-db"],
        "signals": [{"kind": "alert", "name": "PostgresDown", "labels": {"process": "postgres"}, "text": "pg_up is 0"}],
    }
    (folder / "incident.json").write_text(json.dumps(incident))
    command = [*SUTURE, "recommend", "--incident", "incident.json", "--json"]
    _seconds(command, folder, 1)
    asked = _seconds(command, folder, 5)
    imports = "import numpy, onnxruntime, tokenizers, pydantic, jinja2, yaml, cel, markdown_it"
    bare = _seconds([sys.executable, "-c", imports], folder, 5)
    return [Figure("suture recommend, warm", asked, "s", bare, "median of 5; peer: its libraries' import")]


def bench_serve(folder: Path) -> list[Figure]:
    """`suture serve` until it says that it is ready, and its memory when it then has nothing to do."""
    _fresh_cache(folder / "cache")
    first = _started(folder)
    warm = [_started(folder) for _ in range(3)]
    figures = [
        Figure("suture serve, first start", first[0], "s", note="one start: the library is embedded"),
        Figure("suture serve, warm start", median(seconds for seconds, _, _ in warm), "s", note="median of 3"),
    ]
    if first[1]:
        figures += [
            Figure("suture serve, memory idle", median(idle for _, idle, _ in warm), "MiB", note="resident"),
            Figure("suture serve, memory at most", first[2], "MiB", note="resident, during the first start"),
        ]
    return figures


def _seconds(command: Sequence[str], folder: Path, times: int) -> float:
    call = partial(subprocess.run, command, cwd=folder, env=_environment(), stdout=subprocess.DEVNULL, check=True)
    return median(timed([call] * times))


def _started(folder: Path) -> tuple[float, float, float]:
    """Seconds until ready, MiB idle, MiB at most; the memory is 0 where the system does not tell."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = time.perf_counter()
    with _service(folder, port) as process:
        while not _ready(port):
            if process.poll() is not None or time.perf_counter() - start > _START_SECONDS:
                raise RuntimeError(f"suture serve did not become ready: {(folder / 'serve.log').read_text()[-500:]}")
            time.sleep(0.02)
        seconds = time.perf_counter() - start
        time.sleep(_SETTLE_SECONDS)
        return seconds, _memory(process.pid, "VmRSS"), _memory(process.pid, "VmHWM")


@contextmanager
def _service(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    command = [*SUTURE, "serve", "--host", "127.0.0.1", "--port", str(port), "--data", str(folder / "state")]
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=_environment(folder / "cache"), stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _fresh_cache(folder: Path) -> None:
    """A cache folder with the model and no vectors."""
    MiniLM(cache_folder()).embed(["builds the graph where there is none yet"])
    own = folder / "suture"
    own.mkdir(parents=True)
    for graph in cache_folder().glob("*.onnx"):
        (own / graph.name).symlink_to(graph)


def _environment(cache: Path | None = None) -> dict[str, str]:
    """The present one without an installation's settings; the sources are found from any folder."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("SUTURE_")}
    own |= {"XDG_CACHE_HOME": str(cache)} if cache else {}
    return {**own, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def _ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=30.0).is_success
    except httpx.TransportError:
        return False


def _memory(process: int, field: str) -> float:
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except FileNotFoundError:
        return 0.0
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:"))
