"""Recommendations for an incident that the caller describes."""

from __future__ import annotations

from service.api import examples
from service.api.dependencies import PartsOf, answers, resource, takes
from service.contract import IncidentFile, RecommendationView, view
from service.security.auth import SENDER

router = resource("recommendations")


@router.post(
    "/v1/recommendations",
    summary="Recommend for an incident, without executing anything",
    responses=answers(examples.RECOMMENDATION, 503),
    openapi_extra=takes(examples.INCIDENT_FILE),
    dependencies=[SENDER],
)
def recommend(parts: PartsOf, body: IncidentFile) -> RecommendationView:
    """The incident is neither stored nor acted on. `decision` is what the guard would say of the candidate now."""
    incident = body.to_incident(parts.clock())
    recommendation = parts.pipeline.recommend(incident)
    decisions = {ranked.candidate.hash: parts.guard.decide(ranked) for ranked in recommendation.candidates}
    return view(parts.pipeline.localise(incident), recommendation, decisions)
