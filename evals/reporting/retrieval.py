"""The section on finding the runbook of an alert, in the ways that it can be asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from evals.reporting.plots import Bar, bars
from evals.reporting.section import Section, bar_of, between, share, table

_ASKED = {
    "name": "with its name, summary and description",
    "desc": "with summary and description, without its name",
    "expr": "with its description and query, without its name",
}
_MISSES = 12


def retrieval_section(results: Mapping[str, Mapping[str, Any]], command: str) -> Section:
    """The section of the runs of `suture eval retrieval`, by mode."""
    first = next(iter(results.values()))
    hardest = min(results, key=lambda mode: results[mode]["recall_at_1"])
    of_all = [_bars(mode, result) for mode, result in results.items()]
    return Section(
        title="Finding the runbook of an alert",
        tried=f"{first['n']} alerts whose runbook is known were searched for among all runbooks of the project.",
        told=tuple(_told(mode, result) for mode, result in results.items()),
        headline=(
            share(results[hardest]["recall_at_1"]),
            f"of alerts led to their runbook at once, asked {_ASKED[hardest]}",
        ),
        body=(
            bars([one for some in of_all for one in some], "Alerts whose runbook was found, with 95 % intervals"),
            table([_figures(mode, result) for mode, result in results.items()], "Figures"),
            table(_misses(results[hardest]), f"Misses, asked {_ASKED[hardest]}"),
        ),
        command=command,
        notes=tuple(words for result in results.values() for words in result.get("notes", ())),
    )


def _places(result: Mapping[str, Any]) -> list[int]:
    """The place of the right one in each row, a large number where it is not among those named."""
    return [row["ranked"].index(row["gold"]) + 1 if row["gold"] in row["ranked"] else 10**6 for row in result["rows"]]


def _bars(mode: str, result: Mapping[str, Any]) -> list[Bar]:
    places = _places(result)
    return [
        bar_of(f"{mode}: {words}", [float(place <= k) for place in places])
        for k, words in ((1, "first"), (3, "in three"))
    ]


def _told(mode: str, result: Mapping[str, Any]) -> str:
    interval = bar_of("", [float(place == 1) for place in _places(result)])
    bounds = (interval.low or 0.0, interval.high or 0.0)
    return (
        f"Asked {_ASKED[mode]}, the right runbook came first for {share(result['recall_at_1'])}{between(bounds)}, "
        f"and was among the first three for {share(result['recall_at_3'])}."
    )


def _figures(mode: str, result: Mapping[str, Any]) -> dict[str, Any]:
    names = ("recall_at_1", "recall_at_3", "recall_at_5", "mrr")
    return {"asked": mode, "alerts": result["n"], **{name: f"{result[name]:.3f}" for name in names}}


def _misses(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What was taken for what, the most frequent first."""
    taken = Counter((row["gold"], row["ranked"][0] if row["ranked"] else "(none)") for row in result["rows"])
    wrong = [(pair, n) for pair, n in taken.most_common() if pair[0] != pair[1]]
    return [{"right": pair[0], "found first": pair[1], "times": n} for pair, n in wrong[:_MISSES]]
