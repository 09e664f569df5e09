"""A past incident is shown where the same metrics moved, in whatever words it was told, and not for chance words."""

from datetime import UTC, datetime

import pytest

from models.domain.incident import Incident
from models.domain.runbook import Document
from models.domain.signal import Anomaly, Signal, SignalKind
from retrieval.cache_folder import cache_folder
from retrieval.index import PassageIndex
from retrieval.minilm import MiniLM
from retrieval.query import query_of
from service.seen_before import seen_before

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
MOVED = [{"metric": "pg_up", "direction": "down"}, {"metric": "db_errors_total", "direction": "up"}]


def postmortem(identifier, text, moves=()):
    return Document(
        id=identifier, kind="postmortem", title=identifier, text=f"# {identifier}\n\n{text}\n", body_start=0,
        path=f"{identifier}.md", metadata={"moved": list(moves)},
    )  # fmt: skip


OTHER_WORDS = postmortem("inc-42", "Kunden konnten nicht bezahlen, bis neu gestartet wurde.", MOVED)
SAME_WORDS = postmortem("inc-43", "The checkout answered too late since the signing device was slow.")
CHANCE = postmortem("inc-44", "The backup of the archive was late.", [{"metric": "pg_up", "direction": "up"}])
PAST = (OTHER_WORDS, SAME_WORDS, CHANCE)


def moved(metric, direction):
    anomaly = Anomaly(
        labels={"__name__": metric}, at=NOW, score=1, p_value=0, observed=1, expected=2, lower=1, upper=3,
        direction=direction,
    )  # fmt: skip
    return Signal(kind=SignalKind.ANOMALY, name="odd", metric=metric, at=NOW, text=metric, anomaly=anomaly)


@pytest.fixture(scope="module")
def seen():
    index = PassageIndex(None, MiniLM(cache_folder()))
    index.sync(PAST)

    def seen(title, *signals, **fields):
        incident = Incident(
            **{"id": "INC-9", "title": title, "started_at": NOW, "detected_at": NOW, "updated_at": NOW, **fields},
            signals=signals,
        )
        return seen_before(incident, query_of(incident), index, {one.id: one for one in PAST})

    return seen


BOTH = (moved("pg_up", "down"), moved("db_errors_total", "up"))


def test_what_moved_is_enough_and_is_shown(seen):
    found = seen("orders fail", *BOTH)[0]
    assert found.document == "inc-42"
    assert found.moved == ("pg_up down", "db_errors_total up")
    assert found.likeness == 1
    assert found.quote == OTHER_WORDS.text[found.start : found.end]
    assert found.words == f"inc-42 (as here pg_up down, db_errors_total up): “{found.quote}”"


def test_words_are_enough(seen):
    found = seen("Checkout answers too late: is the signing device slow?")[0]
    assert (found.document, found.moved, found.likeness) == ("inc-43", (), None)


def test_telemetry_comes_first(seen):
    found = seen("Checkout answers too late: is the signing device slow?", *BOTH)
    assert [one.document for one in found] == ["inc-42", "inc-43"]


def test_where_telemetry_speaks_against_it_words_do_not_help(seen):
    title = "The backup of the archive is late"
    assert seen(title)[0].document == "inc-44"
    assert "inc-44" not in [one.document for one in seen(title, moved("pg_up", "down"))]


def test_an_incident_is_not_like_itself_until_it_comes_back(seen):
    assert "inc-42" not in [one.document for one in seen("orders fail", *BOTH, id="INC-42", episode=1)]
    assert seen("orders fail", *BOTH, id="INC-42", episode=2)[0].document == "inc-42"
