"""How long incidents took, over many: medians and 90th percentiles of the times to each milestone."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from datetime import datetime

from models.domain.base import Frozen, Time
from models.domain.incident import IncidentStatus
from models.domain.signal import Score
from service.reporting.facts import Episode, IncidentReport, Reached


class Spread(Frozen):
    """A time in seconds over those episodes that reached it; None where none did."""

    reached: int
    median_seconds: float | None = None
    p90_seconds: float | None = None
    """The 90th percentile, interpolated between the two nearest values."""


class FleetTimes(Frozen):
    """All incidents that were opened since a time. An incident that was opened again counts an episode each time."""

    since: Time
    incidents: int
    episodes: int
    ended: int
    """Episodes that were resolved, closed, or handed to a person."""
    resolved: int
    resolved_without_a_person: int
    """Resolved by an action that was verified to help, with no person's act in it, not even an approval."""
    share_without_a_person: Score | None = None
    """Of those that ended; None where none did."""
    detect: Spread
    acknowledge: Spread
    mitigate: Spread
    resolve: Spread


def fleet_times(reports: Iterable[IncidentReport], since: datetime) -> FleetTimes:
    """Their times together. All count from an episode's first signal; what was not reached is left out of a spread."""
    told = list(reports)
    episodes = [episode for report in told for episode in report.episodes]
    ended = [episode for episode in episodes if episode.ended_as is not None]
    alone = sum(map(_alone, ended))
    times = [episode.times for episode in episodes]
    return FleetTimes(
        since=since,
        incidents=len(told),
        episodes=len(episodes),
        ended=len(ended),
        resolved=sum(episode.ended_as is IncidentStatus.RESOLVED for episode in ended),
        resolved_without_a_person=alone,
        share_without_a_person=alone / len(ended) if ended else None,
        detect=_spread([each.detect for each in times]),
        acknowledge=_spread([each.acknowledge for each in times]),
        mitigate=_spread([each.mitigate for each in times]),
        resolve=_spread([each.resolve for each in times]),
    )


def _alone(episode: Episode) -> bool:
    return episode.ended_as is IncidentStatus.RESOLVED and episode.helped is not None and not episode.people


def _spread(reached: Sequence[Reached | None]) -> Spread:
    seconds = sorted(one.seconds for one in reached if one is not None)
    if not seconds:
        return Spread(reached=0)
    p90 = statistics.quantiles(seconds, n=10, method="inclusive")[-1] if len(seconds) > 1 else seconds[0]
    return Spread(reached=len(seconds), median_seconds=statistics.median(seconds), p90_seconds=p90)
