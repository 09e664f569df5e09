"""Rivals stand side by side, each with what was measured for and against it."""

from __future__ import annotations

from datetime import UTC, datetime

from models.domain.execution import CheckResult
from models.domain.recommendation import Recommendation
from models.ranking.evidence import CandidateEvidence, DiagnosisAnswer
from models.ranking.hypotheses import competing
from models.ranking.ranker import rank

AT = datetime(2026, 3, 1, 12, 0, 1, tzinfo=UTC)


def measured(subject: str, condition: str, value: float, *, passed: bool) -> CheckResult:
    return CheckResult(subject=subject, condition=condition, passed=passed, values=(value,), detail=f"{value:g}", at=AT)


def test_each_says_what_was_measured_for_and_against_it(incident, candidate):
    pool = CandidateEvidence(
        candidate=candidate(runbook="pool", preconditions=()),
        triggers=("true",),
        diagnosis=(DiagnosisAnswer(check=measured("pg_up", "== 0", 0, passed=True), stance="refutes"),),
    )
    dead = CandidateEvidence(
        candidate=candidate(runbook="dead"),
        triggers=("true",),
        precondition=True,
        state=(measured("pg_up", "== 0", 0, passed=True),),
    )
    first, second = competing(rank(incident, [pool, dead]))
    assert (first.runbook, second.runbook) == ("dead", "pool")
    assert "pg_up == 0: 0 (12:00:01 UTC)" in first.speaks_for
    assert "pg_up == 0: 0 (12:00:01 UTC)" in second.speaks_against
    assert first.unknown == ()


def test_what_was_measured_is_cited_with_its_candidate(incident, candidate):
    item = CandidateEvidence(
        candidate=candidate(),
        triggers=("true",),
        precondition=False,
        state=(measured("pg_up", "== 0", 1, passed=False),),
        diagnosis=(DiagnosisAnswer(check=measured("load", "> 9", 3, passed=False), stance="supports"),),
    )
    [one] = rank(incident, [item])
    told = [(answer.query, answer.values, answer.at, answer.role, answer.says) for answer in one.measured]
    assert told == [("pg_up", (1.0,), AT, "precondition", "against"), ("load", (3.0,), AT, "diagnosis", "nothing")]


def test_a_candidate_alone_has_no_rivals(incident, candidate):
    assert competing(rank(incident, [CandidateEvidence(candidate=candidate(), triggers=("true",))])) == ()
    assert competing(()) == ()


def test_recommendations_that_were_stored_before_still_load(incident, candidate):
    ranked = rank(incident, [CandidateEvidence(candidate=candidate())])
    stored = Recommendation(id="REC-1", incident="INC-1", created_at=AT, candidates=ranked).model_dump(mode="json")
    del stored["hypotheses"]
    for one in stored["candidates"]:
        del one["measured"]
    loaded = Recommendation.model_validate(stored)
    assert loaded.hypotheses == ()
    assert loaded.candidates[0].measured == ()
