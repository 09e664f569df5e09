"""Log lines into templates."""

from __future__ import annotations

import hashlib
from pathlib import Path

from evals.bench.figures import Figure, timed

_LINES = 50_000


def bench_logs(folder: Path) -> list[Figure]:  # noqa: ARG001  (as every bench)
    """Lines a second of four simulated services with about a hundred templates; peers: a hash of each line, and Drain
    alone over lines that are masked already.
    """
    from evals.logs.generator import INTERVAL, World
    from models.detection.logs.book import LogBook
    from models.detection.logs.config import LogSettings
    from models.detection.logs.lines import LogLine
    from models.detection.logs.masking import mask
    from models.detection.logs.templates import CHILDREN, DEPTH, SIMILAR

    world, at = World(1), 1_767_225_600.0
    lines: list[LogLine] = []
    while len(lines) < _LINES:
        lines += world.interval(at)
        at += INTERVAL
    book = LogBook(LogSettings())
    [whole] = timed([lambda: book.take(lines, at)])
    [hashed] = timed([lambda: [hashlib.sha256(line.text.encode()).digest() for line in lines]])
    masked = [f"{line.level} {mask(line.text)}" for line in lines]
    [searched] = timed([lambda: _drain(masked, DEPTH, SIMILAR, CHILDREN)])
    templates = sum(len(log.templates.by_id) for log in book.services.values())
    count = len(lines)
    note = f"{templates} templates, masking and counts included; peer: SHA-256 of each line"
    return [
        Figure("log lines into templates", count / whole, "lines/s", count / hashed, note),
        Figure("log lines, Drain alone", count / searched, "lines/s", note="drain3, masked before"),
    ]


def _drain(lines: list[str], depth: int, similar: float, children: int) -> None:
    from drain3.drain import Drain

    drain = Drain(depth=depth, sim_th=similar, max_children=children)
    for line in lines:
        drain.add_log_message(line)
