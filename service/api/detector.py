"""The detector: what it knows of each series, and what people said of the incidents that it opened."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import Field

from models.detection.feedback import Verdict
from models.domain.base import Frozen
from service.api import examples
from service.api.dependencies import PLAIN, Identifier, PartsOf, answers, resource, takes
from service.detector_view import DetectorStatus, DetectorView, SeriesExplanation
from service.parts import Parts
from service.security.auth import VIEWER, Approver, actor_of
from service.store.feedback import Feedback

router = resource("detector")


class Word(Frozen):
    """What a person says of an incident."""

    verdict: Verdict
    note: str = Field(default="", max_length=2000)


class FeedbackList(Frozen):
    """Feedback, newest first: the last 200."""

    items: tuple[Feedback, ...]


class SeriesList(Frozen):
    """Series that a selector chose."""

    items: tuple[SeriesExplanation, ...]


@router.get(
    "/v1/detector", summary="The detector", responses=answers(examples.DETECTOR, 404, 409), dependencies=[VIEWER]
)
def get_detector(parts: PartsOf) -> DetectorStatus:
    """How many series it holds, whether there is room, and the feedback in force; as of the saved state (30 seconds old
    at most) where it runs in another process.
    """
    with parts.intake.viewed() as (detector, as_of):
        return DetectorView(_name(parts), detector, parts.feedbacks, as_of).status()


@router.get(
    "/v1/detector/series",
    summary="Explain series",
    responses=answers({"items": [examples.SERIES_EXPLANATION]}, 404, 409),
    dependencies=[VIEWER],
)
def explain_series(
    parts: PartsOf,
    match: Annotated[str, Query(min_length=1, max_length=2000, pattern=PLAIN, description="A PromQL selector.")],
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
) -> SeriesList:
    """What is expected, what was observed, which component speaks, its p-value and threshold, and feedback in force."""
    with parts.intake.viewed() as (detector, as_of):
        return SeriesList(
            items=tuple(DetectorView(_name(parts), detector, parts.feedbacks, as_of).explain(match, limit))
        )


@router.post(
    "/v1/incidents/{id}/feedback",
    summary="Say whether it was an incident",
    status_code=201,
    responses=answers(examples.FEEDBACK, 404, 409, status=201, description="Taken; detectors follow within seconds."),
    openapi_extra=takes({"verdict": "not-an-incident", "note": "the nightly backup"}),
)
def give_feedback(parts: PartsOf, key: Approver, id: Identifier, body: Word) -> Feedback:
    """Makes the detector more or less tolerant of the classes of series that this incident's anomalies belong to.

    One word an incident; 409 where one is in force, or where no signal of it is an anomaly.
    """
    return parts.feedbacks.add(parts.incidents.get(id), body.verdict, body.note, actor_of(key))


@router.get(
    "/v1/feedback",
    summary="List feedback",
    responses=answers({"items": [examples.FEEDBACK]}),
    dependencies=[VIEWER],
)
def list_feedback(parts: PartsOf) -> FeedbackList:
    """With what was undone."""
    return FeedbackList(items=tuple(parts.feedbacks.all()))


@router.delete("/v1/feedback/{id}", summary="Undo feedback", responses=answers(examples.FEEDBACK, 404, 409))
def undo_feedback(parts: PartsOf, key: Approver, id: Identifier) -> Feedback:
    """As if it had not been said. It stays in the list."""
    return parts.feedbacks.undo(id, actor_of(key))


def _name(parts: Parts) -> str:
    return parts.settings.detector.name
