"""What the facts of an episode teach, in sentences. Each follows from the record alone; none is a guess at causes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from models.domain.execution import ExecutionState
from models.domain.incident import IncidentStatus
from models.domain.signal import Signal, SignalKind
from service.remediation.words import code, lasting, percent
from service.reporting.facts import SUTURE, Attempt, Episode, Refusal

_ORDINALS = ("first", "second", "third", "fourth", "fifth")


def learnings(episode: Episode, signals: Sequence[Signal], before: Episode | None) -> tuple[str, ...]:
    """The learnings of an episode. `signals` are those of its time, `before` is the episode before it."""
    return (
        *_of_reopening(episode, before),
        *_of_detection(signals, episode.times.detect.at),
        *_of_recommending(episode),
        *(line for number, one in enumerate(episode.attempts) for line in _of_attempt(number, one)),
        *map(_of_refusal, episode.refusals),
        *_of_order(episode),
        *_of_approval(episode),
        *_of_ending(episode),
    )


def _of_reopening(episode: Episode, before: Episode | None) -> Iterator[str]:
    if before is None or before.ended_at is None or before.ended_as is not IncidentStatus.RESOLVED:
        return
    gone = lasting(episode.times.started_at - before.ended_at)
    helped = f" What had helped, {_named(before.helped)}, did not last." if before.helped else ""
    yield f"It came back {gone} after it was resolved.{helped}"


def _of_detection(signals: Sequence[Signal], opened: datetime) -> Iterator[str]:
    anomalies = sorted((s for s in signals if s.kind is SignalKind.ANOMALY), key=lambda s: s.at)
    others = sorted((s for s in signals if s.kind is not SignalKind.ANOMALY), key=lambda s: s.at)
    if anomalies and others:
        gap = others[0].at - anomalies[0].at
        what, metric = f"the {others[0].kind} {code(others[0].name)}", code(anomalies[0].metric or anomalies[0].name)
        if gap > timedelta(0):
            yield f"{_upper(what)} came {lasting(gap)} after the first anomaly, of {metric}."
        elif gap < timedelta(0):
            yield f"{_upper(what)} came {lasting(-gap)} before the first anomaly, of {metric}."
    elif others and not anomalies:
        yield f"No anomaly was seen: the {others[0].kind} {code(others[0].name)} told of it first."
    waited = opened - min((s.at for s in signals), default=opened)
    if waited >= timedelta(minutes=1):
        yield f"The incident was opened {lasting(waited)} after the first signal's own time."


def _of_recommending(episode: Episode) -> Iterator[str]:
    for made in episode.recommended:
        if made.abstained:
            yield f"Nothing was recommended: {made.abstained}"
        for gap in made.gaps:
            yield f"Not known when it was recommended: {gap}"


def _of_attempt(number: int, one: Attempt) -> Iterator[str]:
    which = f"The {_ORDINALS[number]} candidate" if number < len(_ORDINALS) else f"Candidate {number + 1}"
    if one.state is ExecutionState.SUCCEEDED or one.ended_at_stage is None:
        return
    how = {
        "verification": "failed its verification",
        "act": "may have taken effect, and nobody can tell" if one.state is ExecutionState.UNCERTAIN else "failed",
        "start": "was not started",
        "decision": "was not let run",
    }[one.ended_at_stage]
    yield f"{which}, {_named(one)}, {how}: {one.why or 'no reason was recorded'}"
    if one.ended_at_stage == "verification" and not one.has_rollback:
        yield f"The runbook {one.runbook} has no rollback for {_named(one)}."


def _of_refusal(refusal: Refusal) -> str:
    return f"The guard forbade a candidate: {refusal.text}"


def _of_order(episode: Episode) -> Iterator[str]:
    helped = episode.helped
    if helped is not None and helped.place is not None and helped.place > 1:
        offers = next((made.offers for made in reversed(episode.recommended) if made.offers), ())
        first = f"; first was {offers[0].title!r} ({percent(offers[0].probability)})" if offers else ""
        yield f"What helped, {_named(helped)}, was ranked {helped.place} ({percent(helped.probability)}){first}."


def _of_approval(episode: Episode) -> Iterator[str]:
    given = [(one, max((w.waited_seconds for w in one.words if w.approved), default=None)) for one in episode.attempts]
    for one, waited in given:
        if waited is None:
            continue
        resolve = episode.times.resolve
        whole = f" of the {lasting(timedelta(seconds=resolve.seconds))} until it was resolved" if resolve else ""
        yield f"Approval of {_named(one)} took {lasting(timedelta(seconds=waited))}{whole}."


def _of_ending(episode: Episode) -> Iterator[str]:
    if episode.handed_over is not None:
        yield f"It was handed to a person: {episode.handed_over}"
    if episode.ended_as is IncidentStatus.ESCALATED or episode.ended_as is None:
        return
    if episode.ended_by != SUTURE:
        yield f"{episode.ended_by} ended it as {episode.ended_as}: {episode.ending}"
    elif episode.ended_as is IncidentStatus.RESOLVED and episode.helped is None:
        yield f"It was resolved without an action that was verified to help: {episode.ending}"


def _named(one: Attempt) -> str:
    return f"{one.title!r} ({one.uses} on {one.target})"


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
