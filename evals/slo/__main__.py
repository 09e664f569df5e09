"""`python -m evals.slo`: detection times by burn rate beside the workbook's, false pages, and what low traffic does."""

from __future__ import annotations

import argparse
import sys

import numpy as np

from evals.slo.simulate import NO_GUARD, Told, expected, objective, play, requests
from models.detection.slo.objective import SLOT

_BURNS = (1000.0, 100.0, 50.0, 20.0, 10.0, 7.0, 4.0, 2.0)
_PER_MINUTE = 60_000.0
"""A thousand a second."""
_DAY = 1440


def main() -> None:
    """Print the three tables."""
    parser = argparse.ArgumentParser(prog="python -m evals.slo", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--days", type=int, default=30, help="simulated for false pages")
    asked = parser.parse_args()
    rng = np.random.default_rng(asked.seed)
    sys.stdout.write("Target 99.9 % over 30 days, 1,000 requests a second; minutes from the beginning of the burn\n")
    _print(("burn", "errors", "page after", "workbook", "ticket after", "workbook", "page over"), _detection(rng))
    sys.stdout.write(f"\nPages that began in {asked.days} days of steady burn, 1,000 requests a second\n")
    _print(("burn", "pages", "tickets"), _steady(rng, asked.days))
    sys.stdout.write(f"\nPages that began in {asked.days} days at burn 0.5, by traffic, without and with the guard\n")
    _print(("requests an hour", "pages without", "pages with", "outage paged after, with"), _low(rng, asked.days))


def _detection(rng: np.random.Generator) -> list[list[str]]:
    """Each burn for as long as the slowest alert needs, after a healthy past; then an hour of health."""
    one = objective()
    past, rows = max(one.windows) // SLOT, []
    for burn in _BURNS:
        times = [expected(one, burn, kind) for kind in (True, False)]
        lasts = round(max(time for time in times if time is not None)) + 30
        level = np.concatenate((np.zeros(past), np.full(lasts, burn), np.zeros(60)))
        told = play(one, *requests(rng, _PER_MINUTE, level, one.budget))
        over = "-" if told.last_page is None else str(max(0, told.last_page - lasts))
        rows.append(
            [f"{burn:g}", f"{burn * one.budget:.1%}", _first(told.pages), _minutes(times[0]), _first(told.tickets),
             _minutes(times[1]), over]
        )  # fmt: skip
    return rows


def _steady(rng: np.random.Generator, days: int) -> list[list[str]]:
    rows = []
    for burn in (0.0, 0.5, 0.9, 1.1):
        told = _constant(rng, days, _PER_MINUTE, burn)
        rows.append([f"{burn:g}", str(len(told.pages)), str(len(told.tickets))])
    return rows


def _low(rng: np.random.Generator, days: int) -> list[list[str]]:
    one, rows = objective(), []
    for hourly in (10.0, 100.0, 1000.0, 10_000.0):
        past = max(one.windows) // SLOT
        level = np.full(past + days * _DAY, 0.5)
        total, bad = requests(rng, hourly / 60, level, one.budget)
        without, guarded = (play(each, total, bad) for each in (objective(low_traffic=NO_GUARD), one))
        outage = np.concatenate((np.zeros(past), np.full(_DAY, 1000.0)))
        found = play(one, *requests(rng, hourly / 60, outage, one.budget), stop_at_page=True)
        rows.append([f"{hourly:g}", str(len(without.pages)), str(len(guarded.pages)), _first(found.pages)])
    return rows


def _constant(rng: np.random.Generator, days: int, per_minute: float, burn: float) -> Told:
    one = objective()
    level = np.full(max(one.windows) // SLOT + days * _DAY, burn)
    return play(one, *requests(rng, per_minute, level, one.budget))


def _first(minutes: tuple[int, ...]) -> str:
    return str(minutes[0]) if minutes else "-"


def _minutes(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _print(columns: tuple[str, ...], rows: list[list[str]]) -> None:
    widths = [max(len(cell) for cell in column) for column in zip(columns, *rows, strict=True)]
    for line in (columns, *rows):
        sys.stdout.write("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) + "\n")


if __name__ == "__main__":
    main()
