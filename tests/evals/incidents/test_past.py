"""A past incident is judged by what was measured then: not by what came later, nor by what an address says now."""

import pytest

from evals.incidents.loading import read_row
from evals.incidents.past import Past
from models.domain.errors import Unavailable
from service.recommender import build_recommender
from tests.evals.incidents.rows import row


def told(pipeline, past, one):
    labelled = read_row(one, "row")
    past.go_to(labelled)
    return pipeline.recommend(labelled.asked())


def evidence(recommendation):
    return {each.feature: each for each in recommendation.candidates[0].evidence}


def test_preconditions_are_answered_as_of_the_moment(two_books, settings):
    past = Past()
    pipeline = build_recommender(settings(two_books), past.clock, past=past)
    gold = {"runbook": "database-down"}
    down = told(pipeline, past, row("a", "DatabaseDown", gold, telemetry={"pg_up": [1, 0, 1]}))
    up = told(pipeline, past, row("b", "DatabaseDown", gold, telemetry={"pg_up": [1, 1, 0]}))
    blind = told(pipeline, past, row("c", "DatabaseDown", gold))
    assert down.candidates[0].probability > blind.candidates[0].probability > up.candidates[0].probability
    assert any("no telemetry was recorded" in gap for gap in blind.gaps)
    assert not any("pg_up" in gap for gap in down.gaps)


def test_nothing_later_is_seen_even_where_a_query_looks_ahead(two_books):
    past = Past()
    past.go_to(read_row(row("a", "DatabaseDown", None, telemetry={"pg_up": [1, 0, 1]}), "row"))
    assert [sample.value for sample in past.query("pg_up offset -5s", past.clock())] == [0]
    past.go_to(read_row(row("b", "DatabaseDown", None), "row"))
    with pytest.raises(Unavailable):
        past.query("pg_up", past.clock())


def test_no_address_is_asked_of_the_past(books, settings, monkeypatch):
    def asked(*_):
        raise AssertionError("an address was asked")

    monkeypatch.setattr("service.checks.status_of", asked)
    folder = books(
        "shop-down",
        "The shop is down",
        "ShopDown",
        "Restart it.",
        precondition='{http: "http://127.0.0.1:9/", is: "== 200"}',
    )
    past = Past()
    pipeline = build_recommender(settings(folder), past.clock, past=past)
    answer = told(pipeline, past, row("a", "ShopDown", None, telemetry={"up": [1, 1, 1]}))
    assert answer.candidates
    assert any("127.0.0.1:9" in gap for gap in answer.gaps)
