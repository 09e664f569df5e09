"""What to ask next, and when to stop asking."""

from __future__ import annotations

from models.domain.runbook import Check
from models.ranking.diagnosis import Question, Reach, expected_information, reaches, worth_asking
from models.ranking.evidence import CandidateEvidence
from models.ranking.weights import DEFAULT_WEIGHTS


def question(name: str, **where) -> Question:
    check = Check.model_validate({"query": name, "is": "== 1"})
    return Question(check, **{key: frozenset(value) for key, value in where.items()})


EVEN = [Reach(0.0, -2.0, 1.0), Reach(0.0, -2.0, 1.0), Reach(-9.0, -12.0, -8.0)]


def test_the_check_that_separates_the_likeliest_comes_first():
    both = question("both", supports=[0], refutes=[1])
    one = question("one", supports=[0])
    assert [asked.check.subject for asked in worth_asking([one, both], EVEN, 0.25)] == ["both", "one"]
    chances = [0.45, 0.45, 0.1]
    assert expected_information(both, chances) > expected_information(one, chances) > 0


def test_a_check_of_what_is_out_of_the_question_tells_nothing():
    unlikely = question("unlikely", supports=[2])
    assert worth_asking([unlikely], EVEN, 0.25) == []
    assert expected_information(unlikely, [0.5, 0.5, 0.0, 0.0]) < 1e-9


def test_nothing_is_asked_of_a_rival_that_can_no_longer_become_the_first():
    settled = [Reach(4.0, 3.0, 5.0), Reach(0.0, 0.0, 1.0)]
    assert worth_asking([question("rival", supports=[1])], settled, 0.25) == []
    assert worth_asking([question("leader", required=[0])], settled, 0.25), "what would be tried is looked at"


def test_what_questions_can_still_do_follows_the_weights(candidate):
    item = CandidateEvidence(candidate=candidate(), triggers=("true",))
    weights = DEFAULT_WEIGHTS.per_feature
    [reach] = reaches([item], 0.0, [question("a", required=[0]), question("b", refutes=[0])], DEFAULT_WEIGHTS)
    assert abs(reach.high - reach.now - weights["precondition_holds"]) < 1e-9
    assert abs(reach.low - reach.now - weights["precondition_fails"] - weights["refuted"]) < 1e-9
    [unmatched] = reaches(
        [item.model_copy(update={"triggers": ()})], 0.0, [question("b", supports=[0])], DEFAULT_WEIGHTS
    )
    assert unmatched.high < -2.1, "the cap on what nothing speaks for stays"
