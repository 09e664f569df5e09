"""The target of the crash suite: a process of its own, which acts and writes down what it did before it says so.

Started with a folder. It listens at `target.sock` there, takes one JSON line a connection and answers with one; each
effect is a line of `effects`. Nothing here knows Suture: what it wrote down is what the suite counts.
"""

from __future__ import annotations

import json
import os
import socketserver
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

SLOW_SECONDS = 0.3
_HEALS = {"idempotent", "observable", "both", "neither", "slow", "breaks"}
_BREAKS_OFF = {"breaks", "doubt"}


class Target(socketserver.ThreadingUnixStreamServer):
    """Remembers what it did, also over its own restart."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder / "target.sock"), _Connection)
        self._file = os.open(folder / "effects", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._guard = threading.Lock()
        self._acting: Counter[str] = Counter()
        self._done: set[str] = set()
        self._healed: set[str] = set()

    def act(self, asked: dict[str, Any]) -> dict[str, Any] | None:
        """Do it; None: it was done, and the connection breaks before the answer."""
        verb, name = asked["verb"], asked["name"]
        if verb == "refuse":
            return {"refused": True}
        with self._guard:
            overlaps = self._acting[name] > 0
            self._acting[name] += 1
        if verb == "slow":
            time.sleep(SLOW_SECONDS)
        with self._guard:
            self._acting[name] -= 1
            entry = {"key": asked["key"], "verb": verb, "name": name, "overlaps": overlaps, "at": time.time()}
            os.write(self._file, json.dumps(entry).encode() + b"\n")
            self._done.add(asked["key"])
            if verb in _HEALS:
                self._healed.add(name)
        return None if verb in _BREAKS_OFF else {"done": True}

    def answer(self, asked: dict[str, Any]) -> dict[str, Any] | None:
        """The answer to one question."""
        if asked["ask"] == "act":
            return self.act(asked)
        with self._guard:
            if asked["ask"] == "happened":
                return {"happened": asked["key"] in self._done}
            return {"healthy": asked["name"] in self._healed}


class _Connection(socketserver.StreamRequestHandler):
    server: Target

    def handle(self) -> None:
        line = self.rfile.readline()
        # Who asks may be killed before the line is whole: such a request was never made.
        if not line.endswith(b"\n"):
            return
        answer = self.server.answer(json.loads(line))
        if answer is None:
            return
        try:
            self.wfile.write(json.dumps(answer).encode() + b"\n")
        except OSError:
            return  # killed while it waited for the answer


if __name__ == "__main__":
    with Target(Path(sys.argv[1])) as target:
        threading.Thread(target=target.serve_forever, daemon=True).start()
        sys.stdin.read()  # until whoever started it ends
