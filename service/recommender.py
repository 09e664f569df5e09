"""A pipeline that only recommends, without what serving needs: `suture recommend` should answer soon."""

from __future__ import annotations

from models.domain.base import Clock, utc_now
from retrieval.index import PassageIndex
from service.corpus import CorpusKeeper
from service.evidence import EvidenceGatherer
from service.language import language_model
from service.pipeline import Pipeline
from service.ports import Context
from service.registry import EMBEDDERS, build, verb_catalogue
from service.security.secrets import resolve_secret
from service.settings import Settings
from service.topology import load_topology


def build_recommender(settings: Settings, clock: Clock = utc_now) -> Pipeline:
    """A pipeline without database, telemetry or executor. Raises BadInput for settings that cannot be used."""
    context = Context(clock=clock, secret=resolve_secret)
    index = PassageIndex(None, build(EMBEDDERS, settings.embedder, context))
    corpus = CorpusKeeper(settings.runbooks, settings.postmortems, index)
    corpus.sync()
    return Pipeline(
        settings=settings,
        clock=clock,
        topology=load_topology(settings.topology),
        corpus=corpus,
        evidence=EvidenceGatherer(corpus, index, verb_catalogue(), clock),
        source=None,
        model=language_model(settings),
    )
