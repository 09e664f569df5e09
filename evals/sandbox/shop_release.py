"""The program `shop-release`: deploys a release of the shop, or says whether it is deployed.

`shop-release VERSION` makes it current, replaces the shop's workers one after the other, and returns when that release
alone answers. Customers do not notice, as with a rolling update. A shop that does not answer is restarted.
`shop-release --observe VERSION` answers by its exit code: 0 where the shop runs it, 1 where it does not.
VERSION is `v1`, `v2`, `stable` (the last known stable one) or `previous` (what ran before).
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from evals.sandbox.fault import shop_serves
from evals.sandbox.releases import Releases
from evals.sandbox.sandbox import Sandbox
from models.domain.base import utc_now
from models.domain.errors import BadInput, Unavailable
from service.executors.outlived import KEY_VARIABLE

ANSWER_SECONDS = 15.0
"""For the shop's workers to be replaced, or for the shop to answer after its start."""


def deploy(sandbox: Sandbox, word: str, key: str = "") -> str:
    """Deploy and return the version. The same one again only replaces the workers.

    Raises BadInput where there is no such release, Unavailable where the shop does not come up with it.
    """
    releases = Releases(sandbox.layout.releases)
    version = releases.resolve(word, key)
    releases.deploy(version, utc_now(), key)
    if shop_serves(sandbox):
        os.kill(sandbox.supervisor.process("shop").pid, signal.SIGHUP)  # uvicorn's own: the new one serves first
    else:
        sandbox.supervisor.restart("shop")
    deadline = time.monotonic() + ANSWER_SECONDS
    while not runs(sandbox, version):
        if time.monotonic() > deadline:
            raise Unavailable(f"the shop does not answer as {version}")
        time.sleep(0.1)
    return version


def runs(sandbox: Sandbox, version: str) -> bool:
    """Whether all of the shop answers as that release, and would after a restart."""
    try:
        seen = sandbox.metrics("shop")
    except Unavailable:
        return False
    answering = [name for name, value in seen.items() if name.startswith("shop_release_info") and value == 1]
    return (
        answering == [f'shop_release_info{{version="{version}"}}']
        and Releases(sandbox.layout.releases).pointed() == version
    )


def main(arguments: list[str]) -> int:
    """The exit code."""
    folder, *words = arguments
    sandbox = Sandbox.attach(Path(folder))
    key = os.environ.get(KEY_VARIABLE, "")
    try:
        if words[:1] == ["--observe"] and len(words) == 2:
            return 0 if runs(sandbox, Releases(sandbox.layout.releases).resolve(words[1], key)) else 1
        if len(words) == 1 and not words[0].startswith("-"):
            print(f"the shop runs {deploy(sandbox, words[0], key)}")
            return 0
    except (BadInput, Unavailable, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print("usage: shop-release [--observe] VERSION", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
