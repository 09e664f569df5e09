"""Supervisor's programs `shop` and `shop-standby`: the master of the shop's workers.

SIGTTIN adds a worker, SIGTTOU takes one away, SIGHUP replaces one after the other (uvicorn's own).
"""

from __future__ import annotations

import os
from pathlib import Path

from evals.sandbox.layout import HOST, WORKERS
from evals.sandbox.releases import Release


def main() -> None:
    """Serve with as many workers as the file SHOP_WORKERS says. Ends at once where the release cannot be read."""
    Release.read(Path(os.environ["SHOP_RELEASE"]))
    # Only now, since it takes a while: supervisor is to see early that a start has failed.
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    from evals.sandbox.shop_metrics import forget_earlier_runs

    forget_earlier_runs()
    workers = Path(os.environ["SHOP_WORKERS"])
    config = uvicorn.Config(
        "evals.sandbox.shop:create_app",
        factory=True,
        host=HOST,
        port=int(os.environ["SHOP_PORT"]),
        workers=int(workers.read_text()) if workers.exists() else WORKERS,
        loop="evals.sandbox.utilisation:MeasuredLoop",
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,
        timeout_worker_healthcheck=15,  # for a new one to be ready, on a busy machine too
    )
    # Not uvicorn.run: with one worker that would start no master, to which workers can be added.
    Multiprocess(config, sockets=[config.bind_socket()]).run()


if __name__ == "__main__":
    main()
