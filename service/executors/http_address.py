"""Which addresses a request may go to: looked up once, judged, and then connected to by the judged address.

A name that answers with another address at the second look (DNS rebinding) therefore leads nowhere new.
"""

from __future__ import annotations

import ipaddress
import socket
from queue import Empty, SimpleQueue
from threading import Thread

from service.addresses import why_refused as why_refused  # noqa: PLC0414  (part of what is judged here)
from service.executors.arguments import refused
from service.ports import Effect, ExecutorError


def allowed_addresses(host: str, port: int, *, private: bool, seconds: float) -> list[str]:
    """The addresses of `host`, in the resolver's order.

    Raises ExecutorError where the name has none, where no answer came in time, and where any of them is refused: a
    name that points both ways is not trusted.
    """
    addresses = [ipaddress.ip_address(text) for text in _looked_up(host, port, seconds)]
    for address in addresses:
        if reason := why_refused(address, private=private):
            raise refused(f"{host}: {reason}")
    return [str(address) for address in addresses]


def _looked_up(host: str, port: int, seconds: float) -> list[str]:
    # The resolver has no time limit that a caller can set, so it is asked on a thread that may be left behind.
    answers: SimpleQueue[list[str] | OSError] = SimpleQueue()

    def look_up() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.put(list(dict.fromkeys(str(entry[4][0]) for entry in found)))
        except (OSError, UnicodeError) as error:  # UnicodeError: a label that is too long
            answers.put(error if isinstance(error, OSError) else OSError(str(error)))

    Thread(target=look_up, name=f"look up {host}", daemon=True).start()
    try:
        answer = answers.get(timeout=max(0.0, seconds))
    except Empty:
        words = f"the name {host} was not looked up in time"
        raise ExecutorError(words, retriable=True, effect=Effect.ABSENT) from None
    if isinstance(answer, OSError):
        words = f"the name {host} cannot be looked up: {answer.strerror or answer}"
        raise ExecutorError(words, retriable=True, effect=Effect.ABSENT) from answer
    return answer
