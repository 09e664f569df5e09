from __future__ import annotations

from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest
from pydantic import ValidationError

from models.domain.execution import CheckResult
from models.domain.runbook import Passage
from models.ranking.abstention import DEFAULT_THRESHOLD
from models.ranking.bridge import RemedyMatch
from models.ranking.citations import MAX_QUOTE, cite, holds, words_of
from models.ranking.evidence import CandidateEvidence, DiagnosisAnswer
from models.ranking.ranker import UNMATCHED_CAP, logit, rank
from models.ranking.weights import DEFAULT_WEIGHTS, Weights

TRIGGER = "signal.name == 'PostgresDown'"


def answer(stance: Any, *, passed: bool | None = True) -> DiagnosisAnswer:
    check = CheckResult(subject="pg_connections", condition="> 90", passed=passed, at=datetime(2026, 1, 1, tzinfo=UTC))
    return DiagnosisAnswer(check=check, stance=stance)


def probability(incident, item, *others) -> float:
    ranked = rank(incident, [item, *others])
    return next(one.probability for one in ranked if one.candidate == item.candidate)


def better_pairs(candidate, found):
    """Pairs of evidence where the second differs from the first by one thing that speaks for the candidate."""
    weak, strong = found(lexical=3.0, dense=0.3), found(lexical=14.0, dense=0.3)
    base = {"candidate": candidate()}
    return {
        "trigger": (base, base | {"triggers": (TRIGGER,)}),
        "precondition holds": (base, base | {"precondition": True}),
        "precondition fails": (base | {"precondition": False}, base),
        "culprit": (base, base | {"culprit_match": True}),
        "supported": (base, base | {"diagnosis": (answer("supports"),)}),
        "refuted": (base | {"diagnosis": (answer("refutes"),)}, base),
        "lexical": (base | {"passages": (weak,)}, base | {"passages": (strong,)}),
        "dense": (base | {"passages": (weak,)}, base | {"passages": (found(lexical=3.0, dense=0.8),)}),
        "agreement": (
            base | {"passages": (weak,)},
            base | {"passages": (weak, found("Restart", "first.", lexical=1.0))},
        ),
        "remedy": (
            base | {"remedy": RemedyMatch(words=-0.5, bridge=0.0)},
            base | {"remedy": RemedyMatch(words=0.5, bridge=0.0)},
        ),
        "bridge": (
            base | {"remedy": RemedyMatch(words=0.0, bridge=-0.9)},
            base | {"remedy": RemedyMatch(words=0.0, bridge=0.2)},
        ),
        "success": (base, base | {"successes": 3}),
        "failure": (base | {"failures": 3}, base),
        "risk": ({"candidate": candidate(risk="high")}, {"candidate": candidate(risk="low")}),
    }


KINDS = ["precondition holds", "precondition fails", "culprit", "supported", "refuted", "lexical", "dense"]
KINDS += ["agreement", "remedy", "bridge", "success", "failure", "risk"]


@pytest.mark.parametrize(("name", "triggered"), [("trigger", False), *product(KINDS, (False, True))])
def test_more_evidence_for_a_candidate_raises_its_probability(incident, candidate, found, name, triggered):
    worse, better = better_pairs(candidate, found)[name]
    extra = {"triggers": (TRIGGER,)} if triggered else {}
    assert probability(incident, CandidateEvidence(**(worse | extra))) < probability(
        incident, CandidateEvidence(**(better | extra))
    )


def test_a_trigger_helps_whatever_the_text_says(incident, candidate, found):
    passages = (found(lexical=60, dense=0.95), *(found(lexical=40) for _ in range(6)))
    without = CandidateEvidence(candidate=candidate(), passages=passages)
    assert probability(incident, without) < probability(incident, without.model_copy(update={"triggers": (TRIGGER,)}))


def test_a_stronger_rival_lowers_but_never_raises(incident, candidate, found):
    own = CandidateEvidence(candidate=candidate(), passages=(found(lexical=8.0),))
    rival = CandidateEvidence(candidate=candidate(action="other"), passages=(found(lexical=30.0),))
    assert probability(incident, own, rival) < probability(incident, own)


def test_neither_trigger_nor_words_in_common_stays_low_whatever_else_speaks_for_it(incident, candidate, found):
    item = CandidateEvidence(
        candidate=candidate(risk="low"),
        passages=tuple(found(lexical=5.0, dense=1.0) for _ in range(8)),
        culprit_match=True,
        precondition=True,
        diagnosis=(answer("supports"), answer("supports")),
        successes=1000,
    )
    (ranked,) = rank(incident, [item])
    assert ranked.probability < UNMATCHED_CAP < DEFAULT_THRESHOLD
    assert "unmatched" in {part.feature for part in ranked.evidence}


def test_the_full_case_is_recommended_and_a_failing_precondition_undoes_it(incident, candidate, found):
    item = CandidateEvidence(
        candidate=candidate(), triggers=(TRIGGER,), passages=(found(lexical=3),), culprit_match=True, precondition=True
    )
    assert probability(incident, item) > 0.7
    assert probability(incident, item.model_copy(update={"precondition": False})) < DEFAULT_THRESHOLD


def test_contributions_add_up_to_the_log_odds(incident, candidate, found):
    items = [
        CandidateEvidence(candidate=candidate(), triggers=(TRIGGER,), passages=(found(),), successes=2),
        CandidateEvidence(candidate=candidate(action="stop"), precondition=True),
    ]
    for one in rank(incident, items):
        assert sum(part.log_odds for part in one.evidence) == pytest.approx(logit(one.probability), abs=1e-6)


def test_a_check_that_was_not_measured_or_did_not_pass_says_nothing(incident, candidate):
    plain = CandidateEvidence(candidate=candidate())
    for passed in (None, False):
        asked = plain.model_copy(update={"diagnosis": (answer("refutes", passed=passed),)})
        assert probability(incident, asked) == probability(incident, plain)


def test_best_first_and_the_same_order_whatever_the_order_of_the_evidence(incident, candidate):
    items = [CandidateEvidence(candidate=candidate(action=name)) for name in ("a", "b", "c")]
    items.append(CandidateEvidence(candidate=candidate(action="d"), triggers=(TRIGGER,)))
    one, other = rank(incident, items), rank(incident, items[::-1])
    assert one == other
    assert one[0].candidate.action == "d"


def test_what_one_candidate_has_the_others_lack(incident, candidate):
    alone = CandidateEvidence(candidate=candidate(action="a"), triggers=(TRIGGER,), precondition=True)
    (first,) = rank(incident, [alone])
    rivals = [alone.model_copy(update={"candidate": candidate(action=name)}) for name in ("b", "c")]
    three = rank(incident, [alone, *rivals])
    assert sum(one.probability for one in three) < 1
    assert all(one.probability < first.probability for one in three)
    for one in three:
        (taken,) = [part for part in one.evidence if part.feature == "rivals"]
        assert taken.log_odds < 0
        assert logit(one.probability) == pytest.approx(sum(part.log_odds for part in one.evidence))
    weak = CandidateEvidence(candidate=candidate(action="d"))
    assert rank(incident, [alone, weak])[0].probability == pytest.approx(first.probability, abs=0.02)


def test_the_justification_says_what_was_found(incident, candidate, found):
    item = CandidateEvidence(
        candidate=candidate(),
        triggers=(TRIGGER,),
        passages=(found(),),
        precondition=True,
        diagnosis=(answer("supports"),),
        successes=3,
        failures=1,
    )
    text = rank(incident, [item])[0].justification
    said = (
        "A trigger of postgres-down matches",
        "precondition holds now: pg_up == 0",
        "Measured, and it supports this: pg_connections > 90",
        "helped in 3 of 4 earlier",
        "Counted most, in log-odds: the trigger (+8.8)",
    )
    for part in said:
        assert part in text


def test_the_justification_is_silent_on_checks_that_say_nothing_or_were_said_before(incident, candidate):
    own = candidate().preconditions[0]
    again = answer("supports").check.model_copy(update={"subject": own.subject, "condition": own.condition})
    item = CandidateEvidence(
        candidate=candidate(),
        precondition=True,
        diagnosis=(answer("refutes", passed=False), DiagnosisAnswer(check=again, stance="supports")),
    )
    text = rank(incident, [item])[0].justification
    assert text.count(f"{own.subject} {own.condition}") == 1
    assert "pg_connections" not in text


def test_citations_are_exact_spans_of_the_document(incident, candidate, found, document):
    item = CandidateEvidence(
        candidate=candidate(), triggers=(TRIGGER,), passages=(found(), found("- Restart", "owner.", lexical=9))
    )
    (ranked,) = rank(incident, [item], documents={document.id: document})
    quotes = [citation.quote for citation in ranked.citations]
    assert quotes[0].startswith("Clients see connection refused.")
    assert quotes[1].startswith("Restart the server process.")
    assert quotes[2] == TRIGGER
    assert all(document.text[c.start : c.end] == c.quote for c in ranked.citations)
    assert all(holds(citation, document) for citation in ranked.citations)


def test_a_passage_that_is_not_in_its_document_is_not_cited(incident, candidate, found, document):
    moved = document.model_copy(update={"text": "\n" + document.text})
    item = CandidateEvidence(candidate=candidate(), passages=(found(),))
    assert rank(incident, [item], documents={document.id: moved})[0].citations == ()


@pytest.mark.parametrize(
    "text",
    [
        "word " * 200,
        "x" * 900,
        "# Heading\n\n* first. second! third?\n",
        "| a | b |\n|---|---|\n| ünï | cödé |",
        "```\nkubectl get pods\n```",
        "Eins. Zwei.\r\n\r\nDrei 🚑 vier.",
    ],
)
def test_any_passage_gives_a_short_exact_quote(text):
    passage = Passage(document="d", kind="runbook", title="t", start=7, end=7 + len(text), text=text)
    citation = cite(passage, words_of("third pods"))
    assert citation is not None
    assert text[citation.start - 7 : citation.end - 7] == citation.quote
    assert 0 < len(citation.quote) <= MAX_QUOTE
    assert citation.quote == citation.quote.strip()


def test_a_sentence_goes_on_over_the_ends_of_lines_and_stops_at_its_own():
    text = "## Verify\n\n`up` is 1 again, and more than 95 % of the\nrequests succeed. Then\nwait.\n- next\n"
    passage = Passage(document="d", kind="runbook", title="t", start=0, end=len(text), text=text)
    quote = cite(passage, words_of("requests succeed")).quote
    assert quote.endswith("of the\nrequests succeed. Then\nwait.")
    assert cite(passage, words_of("next")).quote == "next"


@pytest.mark.parametrize("text", ["# Only a heading", "---\n***\n", " \n "])
def test_a_passage_without_a_sentence_is_not_cited(text):
    assert (
        cite(Passage(document="d", kind="runbook", title="t", start=0, end=len(text), text=text), frozenset()) is None
    )


@pytest.mark.parametrize("change", [{"risk": 1.0}, {"lexical": -1.0}, {"trigger": 0.0}, {"unknown": 1.0}])
def test_weights_that_are_not_monotone_are_refused(change):
    with pytest.raises(ValidationError):
        Weights(bias=-4.0, per_feature=DEFAULT_WEIGHTS.per_feature | change)
