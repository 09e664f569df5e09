"""The sections on choosing a remedy, on the origin of an issue, and on anomalies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evals.reporting.plots import Bar, bars, calibration, risk_coverage
from evals.reporting.section import Section, bar_of, between, count, cut, share, side_by_side, table
from evals.statistics import reliability
from evals.statistics import risk_coverage as curve_of

_MISSES = 12


def ranking_section(result: Mapping[str, Any], command: str) -> Section:
    """The section of `suture eval ranking`."""
    rows = result["rows"]
    first = bar_of("first of five", [row["top1"] for row in rows])
    answers = [(max(one["probability"] for one in row["ranked"]), row["top1"]) for row in rows]
    bins = [{**one._asdict(), "interval": list(one.interval)} for one in reliability(answers)]
    points = [one._asdict() for one in curve_of(answers)]
    title = "Choosing the remedy by symptoms"
    return Section(
        title=title,
        tried=f"{len(rows)} incidents were described by their symptoms alone. For each, the remedy that helped stood "
        "beside those of four others; then beside those of all others.",
        told=(
            f"The right one of five came first in {count(sum(row['top1'] for row in rows))} of {len(rows)}: "
            f"{share(result['top1'])}{between((first.low or 0.0, first.high or 0.0))}. Guessing gives 20 %.",
            f"Among all {len(rows)} remedies it came first for {share(result['top1_all'])}.",
            f"Its probabilities are off by {result['ece'] * 100:.0f} percentage points on average.",
        ),
        headline=(share(result["top1"]), "right remedies came first of five; guessing gives 20 %"),
        body=(
            bars(
                [first, Bar("first of all", result["top1_all"]), Bar("by guessing, of five", 0.2)],
                "Remedies that came first, with the 95 % interval",
            ),
            side_by_side(
                calibration(bins, f"{title}: what its probabilities are worth"),
                risk_coverage(points, None, f"{title}: errors among what is answered"),
            ),
            table(_numbers(result), "Figures"),
            table(_ranking_misses(result), "Misses"),
        ),
        command=command,
        notes=tuple(result.get("notes", ())),
    )


def culprit_section(result: Mapping[str, Any], command: str) -> Section:
    """The section of `suture eval culprit`."""
    rows = result["rows"]
    by_scenario: dict[str, list[float]] = {}
    for row in rows:
        by_scenario.setdefault(str(row["issue"]).split("/")[0], []).append(row["hit1"])
    first, three = bar_of("first", [row["hit1"] for row in rows]), bar_of("in three", [row["hit3"] for row in rows])
    bounds = (first.low or 0.0, first.high or 0.0)
    return Section(
        title="Naming the origin of an issue",
        tried=f"{len(rows)} issues were put into a shop of many services. Suture saw measurements and who calls whom.",
        told=(
            f"The service where it began came first in {share(result['top1'])}{between(bounds)}, "
            f"and among the first three in {share(result['top3'])}.",
        ),
        headline=(share(result["top1"]), "of origins were named first"),
        body=(
            bars(
                [first, three, *(bar_of(f"first, {name}", hits) for name, hits in sorted(by_scenario.items()))],
                "Origins that were named, with 95 % intervals",
            ),
            table(
                [
                    {
                        "issue": row["issue"],
                        "began at": row["gold"],
                        "named first": row["ranked"][0]["node"] if row["ranked"] else "(none)",
                    }
                    for row in rows
                    if row["hit1"] < 0.5
                ][:_MISSES],
                "Misses",
            ),
        ),
        command=command,
        notes=tuple(result.get("notes", ())),
    )


def detection_section(result: Mapping[str, Any], command: str) -> Section:
    """The section of `suture eval detection`: the benchmark's score where the files are labelled."""
    rows = [{"figure": "files", "value": result["files"]}, {"figure": "rows", "value": result["rows"]}]
    told = "Each sample has a score; how good they are is for the benchmark's own scorer to say, on these files."
    headline = (str(result["files"]), "recordings were scored; the benchmark's scorer judges them")
    if result.get("score") is not None:
        told = (
            f"{result['found']} of {result['windows']} labelled stretches were noticed, with {result['false_alarms']} "
            "false alarms. 100 would be every stretch at its first sample and no false alarm; 0 is saying nothing."
        )
        headline = (f"{result['score']:.1f}", "of 100 on the benchmark's scale")
        carried = result["carried_over"]["score"]
        rows += [
            {"figure": "score, one threshold for all", "value": result["score"]},
            {"figure": "score, thresholds from other categories", "value": carried},
        ]
    return Section(
        title="Finding anomalies",
        tried=f"{result['files']} recordings with {result['rows']} samples were read in order, as they came in.",
        told=(told,),
        headline=headline,
        body=(table([*rows, {"figure": "scores", "value": result["out"]}]),),
        command=command,
    )


def _ranking_misses(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "incident": row["id"],
            "answered with that of": cut(row["ranked"][0]["id"]),
            "sure": share(row["ranked"][0]["probability"]),
        }
        for row in result["rows"]
        if row["top1"] < 0.5
    ][:_MISSES]


def _numbers(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"figure": name, "value": f"{value:.4g}"}
        for name, value in result.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
