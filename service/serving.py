"""`suture serve`: one process, from the port that it takes to its orderly end."""

from __future__ import annotations

import errno
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from models.domain.base import format_duration
from models.domain.errors import BadInput, Unavailable
from service.app import WORKS, build_parts, start_role, stop_role
from service.background import Loop
from service.parts import Parts
from service.security.auth import ADMIN_KEY_FILE, bootstrap
from service.settings import Settings

_log = logging.getLogger(__name__)

_GRACE = 10
"""Seconds that requests in progress have at the end."""
_LOST_SECONDS = 30.0
"""A replica that lost its lease ends within this time, whatever hangs."""


def serve(settings: Settings, role: str = "all") -> None:
    """Run until Ctrl-C or SIGTERM. Raises BadInput for what cannot be used: settings, folder, port; Unavailable where
    another replica has taken over, so that a process manager starts this one anew.
    """
    # A termination ends the service in the same orderly way as Ctrl-C, before uvicorn listens to signals too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with (
        suppress(KeyboardInterrupt),
        _taken(settings.host, settings.port) as listener,
        _running(settings, role) as parts,
    ):
        parts.remediation.replica.when_lost(_end)
        _announce(parts, role, listener)
        _answer(parts, listener)
    if parts.remediation.replica.lost:
        raise Unavailable("the lease was lost and another replica has taken over; start this one again")
    _log.info("stopped; what was in progress continues at the next start")


@contextmanager
def _running(settings: Settings, role: str) -> Iterator[Parts]:
    """What the role does beside the API. Not in uvicorn's lifespan: DBOS refuses to be launched in an event loop."""
    parts = build_parts(settings)
    loops: list[Loop] = []
    try:
        bootstrap(parts.keys, settings.state_dir)
        if role in WORKS:
            parts.remediation.claim()
        loops = start_role(parts, role)
        yield parts
    finally:
        stop_role(parts, loops)


def _end() -> None:
    """As on SIGTERM; without mercy where that takes too long, since steps may wait for what others now do."""

    def at_last() -> None:
        time.sleep(_LOST_SECONDS)
        os._exit(1)

    threading.Thread(target=at_last, name="end", daemon=True).start()
    os.kill(os.getpid(), signal.SIGTERM)


def _answer(parts: Parts, listener: socket.socket) -> None:
    import uvicorn

    from service.api import create_api

    config = uvicorn.Config(
        create_api(parts), log_config=None, log_level="warning", access_log=False, timeout_graceful_shutdown=_GRACE
    )
    uvicorn.Server(config).run(sockets=[listener])


def _taken(host: str, port: int) -> socket.socket:
    """The port, before anything else is made: a second service on one machine must not touch the first one's state."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as error:
        raise BadInput(f"there is no address {host!r} to listen on: {error.strerror}", where="host") from error
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen()  # only then is it nobody else's; early callers wait for the start
    except OSError as error:
        listener.close()
        mends = {
            errno.EADDRINUSE: f"another program listens on {host}:{port}; choose another port with --port",
            errno.EADDRNOTAVAIL: f"{host} is no address of this machine; choose another with --host",
            errno.EACCES: f"this user may not listen on port {port}; choose one from 1024 on with --port",
        }
        raise BadInput(mends.get(error.errno or 0, f"cannot listen on {host}:{port}: {error.strerror}")) from error
    return listener


def _announce(parts: Parts, role: str, listener: socket.socket) -> None:
    """What a person who starts the service wants to know first."""
    settings = parts.settings
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    _log.info("role %s at http://%s:%d, state in %s", role, shown, port, settings.state_dir)
    key = settings.state_dir / ADMIN_KEY_FILE
    if key.is_file():
        _log.info("an admin's API key is in %s", key)
    modes = ", ".join(f"{environment}: {mode}" for environment, mode in settings.modes.items())
    _log.info(
        "mode %s%s; executors: %s",
        settings.mode,
        f" ({modes})" if modes else "",
        ", ".join(sorted(parts.executors)) or "none, so nothing can be executed",
    )
    _log.info(
        "documents: %d, with actions: %d; scrape targets: %d, every %s",
        len(parts.corpus.documents()),
        len(parts.corpus.runbooks()),
        len(settings.scrape),
        format_duration(settings.scrape_interval),
    )
