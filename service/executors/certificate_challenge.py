"""Shows the answers of http-01 challenges (RFC 8555 section 8.3) where the authority looks for them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.executors.arguments import refused
from service.executors.certificate_settings import Challenge

if TYPE_CHECKING:
    from acme.challenges import HTTP01

_SECONDS = 5
"""Longest wait for one request: the authority asks at once, or never."""


@dataclass(frozen=True)
class Answer:
    """What is to stand at the challenge's path: `text`. `response`: the library's, as its server wants it."""

    challenge: HTTP01
    response: Any
    text: str


@contextmanager
def shown(settings: Challenge, answers: Sequence[Answer]) -> Iterator[None]:
    """Show them for as long as this is open. Raises ExecutorError where they cannot be."""
    if settings.webroot is not None:
        with _as_files(settings.webroot, answers):
            yield
    elif answers:
        with _by_a_server(settings, answers):
            yield
    else:
        yield


@contextmanager
def _as_files(webroot: Path, answers: Sequence[Answer]) -> Iterator[None]:
    written: list[Path] = []
    try:
        for answer in answers:
            path = webroot / answer.challenge.path.lstrip("/")
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            written.append(path)
            path.write_text(answer.text, encoding="ascii")
            path.chmod(0o644)  # the web server is another user
        yield
    except OSError as error:
        raise refused(f"the challenge cannot be shown in {webroot}: {error.strerror}") from error
    finally:
        for path in written:
            path.unlink(missing_ok=True)


@contextmanager
def _by_a_server(settings: Challenge, answers: Sequence[Answer]) -> Iterator[None]:
    from acme.standalone import HTTP01RequestHandler, HTTP01Server

    resources = {
        HTTP01RequestHandler.HTTP01Resource(chall=answer.challenge, response=answer.response, validation=answer.text)
        for answer in answers
    }
    try:
        server = HTTP01Server((settings.host, settings.http_port or 0), resources, timeout=_SECONDS)
    except OSError as error:
        raise refused(f"port {settings.http_port} cannot be opened for the challenge: {error.strerror}") from error
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
