"""Recommendations for an incident that the caller describes."""

from __future__ import annotations

from dataclasses import replace

from fastapi import Request
from fastapi.responses import StreamingResponse

from models.domain.incident import Incident
from models.domain.recommendation import Recommendation
from models.language.streaming import Told
from service.api import examples
from service.api.dependencies import PartsOf, answers, resource, takes
from service.api.event_stream import MEDIA_TYPE, EventStreams, Sender
from service.contract import IncidentFile, RecommendationView, StatementView, view
from service.parts import Parts
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
    return _view(parts, parts.pipeline.locate(incident), recommendation)


@router.post(
    "/v1/recommendations/stream",
    summary="The same as it is made: first without the language model, then its statements one by one",
    response_class=StreamingResponse,
    responses={
        **answers(None, 503),
        200: {"description": "Server-sent events.", "content": {MEDIA_TYPE: {"example": examples.EVENTS}}},
    },
    openapi_extra=takes(examples.INCIDENT_FILE),
    dependencies=[SENDER],
)
def stream(request: Request, parts: PartsOf, body: IncidentFile) -> StreamingResponse:
    """`evidence`: the whole answer of the evidence ranker, at once. `statement`: one checked sentence of the language
    model with its quote. `done`: the whole recommendation, which replaces both. A client that leaves ends the call.
    """
    streams: EventStreams = request.app.state.streams
    incident = parts.pipeline.locate(body.to_incident(parts.clock()))
    evidence = parts.pipeline.retrieve(incident)
    alone = replace(parts.pipeline, model=None).rank(incident, evidence, "REC-unsaved")

    def work(sender: Sender) -> None:
        def tell(told: Told | None) -> None:
            sender.check()
            if told is not None:
                sender.send("statement", StatementView.of(told))

        sender.send("evidence", _view(parts, incident, alone))
        made = parts.pipeline.rank(incident, evidence, "REC-unsaved", tell) if parts.pipeline.model else alone
        sender.send("done", _view(parts, incident, made))

    return streams.respond(work)


def _view(parts: Parts, incident: Incident, made: Recommendation) -> RecommendationView:
    decisions = {ranked.candidate.hash: parts.guard.decide(ranked) for ranked in made.candidates}
    return view(incident, made, decisions)
