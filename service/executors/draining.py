"""Runs as a program: reads on where the service that listened is gone, so that what it had started can print and go on.

Arguments: the descriptor that ends with the service, then those of the streams. Ends when nobody holds the streams.
"""

from __future__ import annotations

import os
import selectors
import sys

_CHUNK = 65_536


def main(service: int, *streams: int) -> None:
    """Wait until nobody else listens, then read the streams to their ends and forget what they say."""
    while os.read(service, 1):
        pass
    with selectors.DefaultSelector() as selector:
        for stream in streams:
            selector.register(stream, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                if not os.read(key.fd, _CHUNK):
                    selector.unregister(key.fd)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
