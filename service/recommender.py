"""A pipeline that only recommends, without what serving needs: `suture recommend` should answer soon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.domain.base import Clock, utc_now
from retrieval.index import PassageIndex
from service.bridging import Bridge
from service.corpus import CorpusKeeper, source_store
from service.evidence import EvidenceGatherer, Means
from service.language import language_model
from service.pipeline import Pipeline
from service.ports import Context, Source
from service.registry import EMBEDDERS, build, verb_catalogue
from service.security.secrets import resolve_secret
from service.settings import Settings
from service.topology import load_topology

if TYPE_CHECKING:
    from service.guard.surroundings import Outcomes
    from service.language.ledger import Ledger


def build_recommender(
    settings: Settings,
    clock: Clock = utc_now,
    *,
    past: Source | None = None,
    history: Outcomes | None = None,
    ledger: Ledger | None = None,
) -> Pipeline:
    """A pipeline without database or executor. Raises BadInput for settings that cannot be used.

    `past` answers queries as of `clock`, so that incidents of the past can be judged by what was measured then; without
    it there is no telemetry. `history` gives the outcomes up to then, `ledger` what the language model may still use.
    """
    context = Context(clock=clock, secret=resolve_secret)
    embedder = build(EMBEDDERS, settings.embedder, context)
    index = PassageIndex(None, embedder)
    corpus = CorpusKeeper(settings.runbooks, settings.postmortems, index, source_store(settings))
    corpus.sync()
    topology = load_topology(settings.topology)
    return Pipeline(
        settings=settings,
        clock=clock,
        topology=topology,
        corpus=corpus,
        evidence=EvidenceGatherer(
            corpus,
            index,
            verb_catalogue(),
            clock,
            past,
            history,
            http=False,
            means=Means(Bridge(embedder), settings.diagnose, settings.abstain_below, topology),
        ),
        source=past,
        model=language_model(settings, ledger),
    )
