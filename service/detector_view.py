"""What the detector knows, for people: of the one that runs here, or of the state that one saved last."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from models.detection.batch import Detector
from models.detection.feedback import Explanation, SeriesClass, Summary, Tunable, class_of
from models.domain.base import Frozen, Time
from models.domain.errors import BadInput, Conflict, NotFound
from service.promql.nodes import Selector
from service.promql.parsing import parse
from service.store.feedback import ClassTolerance, Feedbacks
from service.store.state import DetectorStates


class SeriesExplanation(Frozen):
    """One series, and what people said of its class."""

    series: Explanation
    feedback: ClassTolerance | None
    """None where nothing is in force."""


class DetectorStatus(Frozen):
    """The detector as a whole."""

    name: str
    as_of: Time
    summary: Summary
    full: bool
    """There is no room for a further series."""
    feedback: tuple[ClassTolerance, ...]


class DetectorView:
    """Answers about one detector; `as_of` is when it stood so."""

    def __init__(self, name: str, detector: Detector, feedbacks: Feedbacks, as_of: datetime) -> None:
        """Raises Conflict for a detector that does not explain itself."""
        if not isinstance(detector, Tunable):
            raise Conflict(f"the detector {name!r} does not explain its series")
        self._name = name
        self._detector = detector
        self._feedbacks = feedbacks
        self._as_of = as_of

    def status(self) -> DetectorStatus:
        """How full it is, and what goes on."""
        summary = self._detector.summary()
        return DetectorStatus(
            name=self._name,
            as_of=self._as_of,
            summary=summary,
            full=summary.series >= summary.max_series,
            feedback=tuple(self._feedbacks.tolerances()),
        )

    def explain(self, selector: str, limit: int) -> list[SeriesExplanation]:
        """The series that a PromQL selector chooses. Raises BadInput where it is none, NotFound where nothing fits."""
        fits = selected(selector).matches
        places = [place for place, labels in enumerate(self._detector.known()) if fits(labels)]
        if not places:
            words = "or it is of a kind that is not scored (buckets, times, info)"
            raise NotFound(f"the detector holds no series {selector}: it has not come within `forget_after`, {words}")
        said = {each.series: each for each in self._feedbacks.tolerances()}
        return [
            SeriesExplanation(series=each, feedback=said.get(class_of(each.labels)))
            for each in self._detector.explain(places[:limit])
        ]


def selected(selector: str) -> Selector:
    """A series selector: a metric, matchers in braces, or both. Raises BadInput."""
    node = parse(selector)
    if not isinstance(node, Selector) or node.offset:
        raise BadInput(f"{selector[:100]!r} names no series; write for example 'pg_up{{service=\"orders-db\"}}'")
    return node


def saved_view(name: str, detector: Detector, states: DetectorStates, feedbacks: Feedbacks) -> DetectorView:
    """The view of the newest saved state, which `detector`, a fresh one, takes on.

    Raises NotFound where there is none, Conflict where it is of another version or detector.
    """
    as_of = restore_saved(name, detector, states)
    if isinstance(detector, Tunable):
        detector.tune(in_force(feedbacks.tolerances()))
    return DetectorView(name, detector, feedbacks, as_of)


def restore_saved(name: str, detector: Detector, states: DetectorStates) -> datetime:
    """Let `detector` take on the newest saved state; when it was saved. Raises as `saved_view`."""
    saved = states.saved(name)
    if saved is None:
        raise NotFound(f"no state of the detector {name!r} is saved; one that runs saves it every 30 seconds")
    at, state = saved
    try:
        detector.restore(state)
    except ValueError as error:
        raise Conflict(f"the saved state cannot be read: {error}") from error
    return datetime.fromtimestamp(at, UTC)


def in_force(tolerances: Sequence[ClassTolerance]) -> dict[SeriesClass, float]:
    """By class of series, as a detector takes them."""
    return {each.series: each.tolerance for each in tolerances}
