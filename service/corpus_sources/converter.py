"""HTML into Markdown in a process of its own: a page made to be slow or huge costs itself alone.

Run as a program, it reads requests from standard input, each a line of JSON and then the page's bytes, and answers each
with a line of JSON. Its limits are of processor time and memory, so that a slow machine does not meet them sooner.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading
from typing import IO, Any, Literal

from runbooks.frontmatter import Fault
from service.corpus_sources.pages import PageFault

CPU_SECONDS = 30.0
"""Of one page; the largest that are taken need about 10."""
MEMORY = 2_000_000_000
"""Bytes of address space; a page of 2 MB needs about 300 MB."""
_WALL_SECONDS = 600.0
"""A process that does not answer by then is ended: its own limit must have come long before."""
_PASSED = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "LC_ALL", "LANG")

Form = Literal["confluence", "html"]


class Converter:
    """Converts pages, one after the other; its process is started with the first, and again after one that killed it.

    Not for several threads at once.
    """

    def __init__(self, cpu_seconds: float = CPU_SECONDS) -> None:
        self._cpu_seconds = cpu_seconds
        self._process: subprocess.Popen[bytes] | None = None

    def convert(self, data: bytes, form: Form) -> tuple[str, str]:
        """(title, Markdown) of a page. Raises PageFault."""
        process = self._process = self._process or _started()
        assert process.stdin is not None
        assert process.stdout is not None
        late = threading.Timer(_WALL_SECONDS, process.kill)
        late.start()
        try:
            request = {"size": len(data), "form": form, "cpu_seconds": self._cpu_seconds}
            process.stdin.write(json.dumps(request).encode() + b"\n" + data)
            process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            answer = b""
        finally:
            late.cancel()
        if not answer.endswith(b"\n"):
            self.close()
            raise PageFault(1, "the page cannot be converted: it takes too much time or memory", "simplify it")
        found = json.loads(answer)
        if "fault" in found:
            fault = Fault(*found["fault"])
            raise PageFault(fault.line, fault.message, fault.mend)
        return found["title"], found["text"]

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def _started() -> subprocess.Popen[bytes]:
    # Without the environment's secrets; `-P`: a module in the present folder is not taken for one of ours.
    environment = {name: os.environ[name] for name in _PASSED if name in os.environ}
    argv = [sys.executable, "-P", "-W", "ignore", "-m", "service.corpus_sources.converter"]
    return subprocess.Popen(
        argv, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )


class _OutOfTime(Exception):
    """The page's processor time is over."""


def _answer(data: bytes, form: Form, cpu_seconds: float) -> dict[str, Any]:
    from service.corpus_sources.confluence import confluence_markdown
    from service.corpus_sources.html import decoded, markdown_of

    signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
    try:
        text = decoded(data)
        title, markdown = confluence_markdown(text) if form == "confluence" else markdown_of(text)
    except PageFault as error:
        return {"fault": [error.fault.line, error.fault.message, error.fault.mend]}
    except MemoryError:
        return {"fault": [1, "the page takes too much memory to convert", "split it"]}
    except _OutOfTime:
        words = f"the page takes more than {cpu_seconds:g} s of processor time to convert"
        return {"fault": [1, words, "split or simplify it"]}
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return {"title": title, "text": markdown}


def _stop(*_: object) -> None:
    raise _OutOfTime


def _serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    while line := requests.readline():
        asked = json.loads(line)
        answer = _answer(requests.read(asked["size"]), asked["form"], asked["cpu_seconds"])
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGPROF, _stop)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    _serve(sys.stdin.buffer, sys.stdout.buffer)
