"""The section on labelled incidents: whole recommendations, judged by what was right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evals.reporting.plots import Bar, bars, calibration, confusion, risk_coverage
from evals.reporting.section import Section, between, count, cut, share, side_by_side, table

_MISSES = 12


def incidents_section(result: Mapping[str, Any], title: str, command: str) -> Section:
    """The section of one run of `suture eval incidents`."""
    return Section(
        title=title,
        tried=f"{result['n']} incidents of the past were given to Suture as they were first seen, without what helped. "
        "Its recommendation was then compared with what had been right.",
        told=tuple(words for words in (_right(result), _silent(result), _worth(result), _speed(result)) if words),
        headline=(share(result["correct"]), "of all answers were right, an “I do not know” in place included"),
        body=_body(result, title),
        command=command,
        notes=tuple(result["notes"]),
    )


def _right(result: Mapping[str, Any]) -> str:
    rows = [one for one in result["rows"] if one["kind"] in ("action", "document", "remedy") and one["ranked"]]
    if not rows:
        return ""
    first, bounds = sum(one["top1"] for one in rows), result["intervals"]["of"].get("top1")
    return (
        f"Where something was right, it stood first in {count(first)} of {len(rows)} incidents: "
        f"{share(result['top1'])}{between(bounds)}. Among the first three it stood in {share(result['top3'])}."
    )


def _silent(result: Mapping[str, Any]) -> str:
    abstention = result["abstention"]
    if not abstention["nothing_fits"]:
        return "No incident of these was one for which nothing fits, so its “I do not know” was not put to the test."
    rightly = round(abstention["recall"] * abstention["nothing_fits"])
    words = f"For {abstention['nothing_fits']} incidents nothing in the runbooks fits: it rightly said so for {rightly}"
    if abstention["something_fits"]:
        needless = round(abstention["needless"] * abstention["something_fits"])
        words += f", and said so needlessly for {needless} of {abstention['something_fits']} others"
    return f"{words}."


def _worth(result: Mapping[str, Any]) -> str:
    if result["ece_top"] is None:
        return ""
    points = result["ece_top"] * 100
    kept = result["selective"]
    words = f"The probability that it gives its first choice is off by {points:.0f} percentage points on average."
    if kept["precision"] is not None:
        words += (
            f" From {share(kept['threshold'])} on it recommends: that is {share(kept['coverage'])} of the incidents, "
            f"and {share(kept['precision'])} of those recommendations were right."
        )
    return f"{words} {_promise(kept['promise'])}".rstrip()


def _promise(promise: Mapping[str, Any] | None) -> str:
    """From which probability on a precision can be promised of incidents like these."""
    if promise is None:
        return ""
    target, sure = share(promise["target"]), promise["guaranteed"]
    if sure is None:
        return (
            f"These incidents cannot promise that {target} of the recommendations are right, from whichever "
            f"probability on: that takes at least {promise['answers_needed']} answers, all of them right."
        )
    return (
        f"From {share(sure['threshold'])} on, {target} or more of the recommendations are right for incidents like "
        f"these, with {share(promise['confidence'])} confidence; that answers {share(sure['coverage'])} of them."
    )


def _speed(result: Mapping[str, Any]) -> str:
    took = result["latency"]
    usual, worst = f"{took['p50_ms']:.0f} ms", f"{took['p99_ms']:.0f} ms"
    words = f"One recommendation takes {usual} as a rule, and {worst} in the worst of a hundred."
    model = result["model"]
    if model is None:
        return f"{words} No language model was asked."
    cost = model.get("cost_usd")
    price = "at an unknown price" if cost is None else f"for ${cost:.4f} in all"
    tokens = model.get("prompt_tokens", 0) + model.get("completion_tokens", 0)
    return f"{words} The language model {model['name']} was asked {model['asked']} times ({tokens} tokens, {price})."


def _body(result: Mapping[str, Any], title: str) -> tuple[str, ...]:
    of = result["intervals"]["of"]
    names = {"correct": "answer right", "top1": "right one first", "top3": "among the first three"}
    shown = [
        Bar(words, result[name], *of.get(name, (None, None)))
        for name, words in names.items()
        if result[name] is not None
    ]
    parts = [bars(shown, f"{title}: how often right, with 95 % intervals")] if shown else []
    kept = result["selective"]
    plots = []
    if result["calibration"]:
        plots.append(calibration(result["calibration"], f"{title}: what its probabilities are worth"))
    if kept["curve"]:
        chosen = (kept["coverage"], 1 - kept["precision"]) if kept["precision"] is not None else None
        plots.append(risk_coverage(kept["curve"], chosen, f"{title}: errors among what is answered"))
    parts.append(side_by_side(*plots))
    if result["confusion"]:
        parts.append(confusion(result["confusion"], f"{title}: what was answered for what was right"))
    return (*parts, _figures(result), _misses(result))


def _figures(result: Mapping[str, Any]) -> str:
    of = result["intervals"]["of"]
    wanted = {
        "correct": "answers right", "top1": "right one first", "top3": "right one among three",
        "mrr": "mean reciprocal rank", "ece": "expected calibration error, all options",
        "ece_top": "the same, first choice", "brier_top": "Brier score, first choice",
    }  # fmt: skip
    rows = [
        {"figure": words, "value": f"{result[name]:.3f}", "95 % interval": _interval(of.get(name))}
        for name, words in wanted.items()
        if result[name] is not None
    ]
    abstention = result["abstention"]
    for name, words in (
        ("recall", "rightly silent"),
        ("needless", "needlessly silent"),
        ("auroc", "tells whether something fits (AUROC)"),
    ):
        if abstention[name] is not None:
            rows.append({"figure": words, "value": f"{abstention[name]:.3f}", "95 % interval": ""})
    return table(rows, "Figures")


def _interval(bounds: Any) -> str:
    return f"{bounds[0]:.3f} to {bounds[1]:.3f}" if bounds else ""


def _misses(result: Mapping[str, Any]) -> str:
    wrong = [one for one in result["rows"] if one["kind"] != "culprit" and one["correct"] < 0.5]
    rows = [
        {
            "incident": one["id"],
            "what was seen": cut(one["title"], 70),
            "right": cut(one["gold"], 60),
            "answered": cut(one["answer"], 60),
            "sure": share(one["probability"]) if one["kind"] != "document" else "",
        }
        for one in sorted(wrong, key=lambda one: -one["probability"])[:_MISSES]
    ]
    more = f", the surest {_MISSES}" if len(wrong) > _MISSES else ""
    return table(rows, f"Misses: {len(wrong)} of {len(result['rows'])}{more}")
