from __future__ import annotations

import pytest

from models.domain.recommendation import Dropped
from models.ranking.abstention import DEFAULT_THRESHOLD, abstain, worth_trying
from models.ranking.evidence import CandidateEvidence
from models.ranking.ranker import rank


def test_nothing_known_says_so():
    reason = abstain(()).reason
    assert "No runbook offers an action" in reason
    assert "no document that resembles it" in reason


def test_names_the_nearest_documents_and_what_was_dropped(found):
    dropped = Dropped(runbook="scale-out", action="scale", reason="parameter replicas has no value")
    reason = abstain((), nearest=[found(lexical=4.25), found("Restart", "first.")], dropped=[dropped]).reason
    assert reason.count("PostgreSQL refuses connections") == 1
    assert "scale-out/scale could not be offered: parameter replicas has no value" in reason


def test_high_cosine_alone_abstains_and_says_what_is_missing(incident, candidate, found):
    item = CandidateEvidence(candidate=candidate(), passages=(found(lexical=0.5, dense=0.99),), precondition=False)
    reason = abstain(rank(incident, [item])).reason
    for part in ("postgres-down/restart", "a matching trigger", "words in common", "does not hold now"):
        assert part in reason


@pytest.mark.parametrize(("threshold", "abstains"), [(0.0, False), (0.3, False), (1.0, True)])
def test_the_threshold_decides(incident, candidate, threshold, abstains):
    item = CandidateEvidence(candidate=candidate(risk="low"), triggers=("true",), precondition=True)
    assert (abstain(rank(incident, [item]), threshold=threshold) is not None) == abstains


def test_a_runbook_whose_trigger_matched_is_named_where_another_is_nearer(incident, candidate, found):
    held = CandidateEvidence(candidate=candidate(risk="high"), triggers=("true",), precondition=False)
    near = CandidateEvidence(candidate=candidate(runbook="other", action="else"), passages=(found(lexical=9.0),) * 2)
    reason = abstain(rank(incident, [held, near])).reason
    assert "The best, other/else" in reason
    assert "A trigger of postgres-down/restart matched" in reason
    assert "its precondition, which does not hold now" in reason


def test_a_runbook_with_several_actions_is_not_abstained_from_for_their_number(incident, candidate):
    items = [CandidateEvidence(candidate=candidate(action=name), triggers=("true",)) for name in ("a", "b", "c", "d")]
    ranked = rank(incident, items)
    assert ranked[0].probability < DEFAULT_THRESHOLD
    assert abstain(ranked) is None
    assert worth_trying(ranked, DEFAULT_THRESHOLD) == [0, 1, 2, 3]


def test_rivals_of_other_runbooks_that_are_each_improbable_are_abstained_from(incident, candidate):
    items = [CandidateEvidence(candidate=candidate(runbook=name), triggers=("true",)) for name in ("a", "b", "c", "d")]
    assert abstain(rank(incident, items)) is not None
    assert worth_trying(rank(incident, items), DEFAULT_THRESHOLD) == []


def test_what_is_tried_next_is_judged_as_if_the_first_was_not_it(incident, candidate):
    first = CandidateEvidence(
        candidate=candidate(runbook="a"), triggers=("true",), precondition=True, culprit_match=True
    )
    second = CandidateEvidence(candidate=candidate(runbook="b"), triggers=("true",))
    last = CandidateEvidence(candidate=candidate(runbook="c"))
    ranked = rank(incident, [first, second, last])
    assert ranked[1].probability < DEFAULT_THRESHOLD
    assert worth_trying(ranked, DEFAULT_THRESHOLD) == [0, 1]
