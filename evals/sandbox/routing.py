"""The front door as an operator sees it: which pool takes the customers, and how the proxy is told to look anew."""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress

from evals.sandbox.layout import Layout, replace_text


def switch(layout: Layout, pool: str) -> None:
    """Send customers to a pool from now on; where the proxy does not run, from its next start on."""
    replace_text(layout.pool_file, json.dumps({"pool": pool, "servers": layout.pools[pool], "key": ""}))
    reload(layout)


def active_pool(layout: Layout) -> str:
    """The pool that the proxy was told last."""
    return str(json.loads(layout.pool_file.read_text())["pool"])


def reload(layout: Layout) -> None:
    """Have the proxy read its pool and its certificate, where it runs."""
    with suppress(FileNotFoundError, ProcessLookupError):
        os.kill(int(layout.proxy_pid.read_text()), signal.SIGHUP)
