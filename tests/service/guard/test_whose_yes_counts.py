"""Approvals: a yes counts while its key does, for who may, for the very candidate, all its fields as signed."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from models.domain.errors import Conflict, NotAllowed
from models.domain.execution import Execution
from service.guard.approvals import Approvals, signing_key
from service.guard.names import person
from service.store.keys import Role
from tests.service.guard.test_guard_decisions import ranked


@pytest.fixture
def parts(installation, make_settings):
    (make_settings().policies / "people.cedar").write_text(
        '@id("not-bob") forbid (principal == Person::"bob", action, resource);'
        '@id("two-for-high") @approvals("2") permit (principal in Role::"admin", action, resource)'
        ' when { context.risk == "high" };'
    )
    return installation(mode="approve").parts


@pytest.fixture
def waits(parts):
    def wait(identifier="EXE-1-1-1", requested_by=None, **changes):
        one = ranked(**changes)
        execution = Execution(
            id=identifier, incident="INC-1", candidate=one.candidate, probability=one.probability,
            decision=parts.guard.decide(one), requested_by=requested_by, created_at=parts.clock(),
        )  # fmt: skip
        parts.executions.add(execution, "workflow")
        return execution

    return wait


@pytest.fixture
def says(parts):
    def say(name, execution="EXE-1-1-1", role=Role.ADMIN, approved=True):
        key, _ = parts.keys.create(name, role, "test")
        parts.approvals.give(execution, approved=approved, by=f"key:{name}", role=role, key=key.id)
        return key

    return say


def test_a_comment_that_cannot_be_stored_as_it_is_does_not_make_the_yes_void(parts, waits):
    execution = waits()
    parts.approvals.give("EXE-1-1-1", approved=True, by="cli:ann", role=Role.ADMIN, comment="a\x00b")
    assert parts.approvals.standing(execution).enough(1)


def test_a_yes_ends_with_its_key_a_no_does_not(parts, waits, says):
    execution = waits()
    key = says("ann")
    assert parts.approvals.standing(execution).enough(1)
    parts.keys.revoke(key.id, "test")
    standing = parts.approvals.standing(execution)
    assert not standing.enough(1)
    assert standing.discounted == ("the yes of key:ann does not count: the API key that it came by is revoked",)
    other = says("eve", approved=False)
    parts.keys.revoke(other.id, "test")
    assert parts.approvals.standing(execution).rejected_by == ("key:eve",)


def test_a_yes_ends_with_the_role_of_its_key(parts, waits, says):
    execution = waits()
    says("ann", role=Role.APPROVER)
    with parts.database.write() as connection:
        connection.execute(text("UPDATE api_keys SET role = 'viewer'"))
    assert "is viewer by now, not approver" in parts.approvals.standing(execution).discounted[0]


def test_a_key_that_is_not_known_gives_nothing(parts, waits):
    waits()
    with pytest.raises(NotAllowed, match="API key that it came by is not known"):
        parts.approvals.give("EXE-1-1-1", approved=True, by="key:x", role=Role.ADMIN, key="0123")


def test_who_asked_for_it_is_not_one_of_the_two(parts, waits, says):
    execution = waits(requested_by="key:Ann", approval="two-person")
    with pytest.raises(NotAllowed, match="who asked for an action that 2 people must approve is none of them"):
        says("ann")
    says("carl")
    assert not parts.approvals.standing(execution).enough(2)
    says("dora")
    assert parts.approvals.standing(execution).enough(2)


def test_who_asked_for_a_high_risk_action_cannot_approve_it(waits, says):
    waits(requested_by="cli:ann", risk="high")
    with pytest.raises(NotAllowed, match="who asked for a high-risk action cannot approve it"):
        says("ann")


def test_who_asked_for_another_may_be_the_one_who_approves_it(parts, waits, says):
    execution = waits(requested_by="key:ann")
    says("ann")
    assert parts.approvals.standing(execution).enough(1)


def test_a_policy_takes_a_person_out(parts, waits, says):
    execution = waits()
    with pytest.raises(NotAllowed, match="policy not-bob forbids it to key:Bob"):
        says("Bob")
    # And where it was signed without the guard:
    unguarded = Approvals(parts.executions, signing_key(parts.settings), timedelta(hours=1), parts.clock)
    unguarded.give("EXE-1-1-1", approved=True, by="cli:bob", role=Role.ADMIN)
    assert parts.approvals.standing(execution).discounted == (
        "the yes of cli:bob does not count: policy not-bob forbids it to cli:bob",
    )


def test_where_policy_names_people_nobody_else_counts(installation, tmp_path):
    folder = tmp_path / "named"
    folder.mkdir()
    (folder / "ann.cedar").write_text('@id("ann") permit (principal == Person::"ann", action, resource);')
    parts = installation(mode="approve", policies=folder).parts
    one = ranked()
    execution = Execution(
        id="EXE-1-1-1", incident="INC-1", candidate=one.candidate, probability=one.probability,
        decision=parts.guard.decide(one), created_at=parts.clock(),
    )  # fmt: skip
    parts.executions.add(execution, "workflow")
    with pytest.raises(NotAllowed, match="policy lets only ann approve it; cli:eve is not among them"):
        parts.approvals.give("EXE-1-1-1", approved=True, by="cli:eve", role=Role.ADMIN)
    parts.approvals.give("EXE-1-1-1", approved=True, by="cli:ann", role=Role.APPROVER)
    assert parts.approvals.standing(execution).enough(execution.decision.approvals_needed)


def test_a_yes_for_one_execution_is_none_for_another(parts, waits, says):
    waits()
    other = waits("EXE-1-1-2")
    says("ann")
    with parts.database.write() as connection:
        connection.execute(text("UPDATE approvals SET execution = 'EXE-1-1-2'"))
    assert parts.approvals.standing(other).approved_by == ()


def test_a_yes_for_one_candidate_is_none_for_another(parts, waits, says):
    execution = waits()
    says("ann")
    changed = execution.candidate.model_copy(update={"arguments": {"name": "ledger"}})
    changed = type(changed).model_validate(changed.model_dump())
    assert parts.approvals.standing(execution.model_copy(update={"candidate": changed})).approved_by == ()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", '"APP-1"'),
        ("by", '"key:dora"'),
        ("role", '"viewer"'),
        ("key", "null"),
        ("comment", '"of course"'),
        ("at", '"2026-01-01T00:00:00Z"'),
        ("expires_at", '"2999-01-01T00:00:00Z"'),
        ("execution", '"EXE-1-1-2"'),
        ("candidate_hash", '"0"'),
    ],
)
def test_the_signature_is_over_every_field(parts, waits, says, field, value):
    execution = waits()
    says("ann")
    with parts.database.write() as connection:
        changed = text(f"UPDATE approvals SET document = json_set(document, '$.{field}', json('{value}'))")
        connection.execute(changed)
    assert parts.approvals.standing(execution).approved_by == ()


def test_one_person_says_one_word(waits, says):
    waits(approval="two-person")
    says("ann")
    with pytest.raises(Conflict, match="has already decided"):
        says("ANN")


@pytest.mark.parametrize("by", ["key:ann", "cli:ann", "Ann ", "key: ANN", "key:cli:ann", "\uff41nn"])
def test_spellings_of_a_name(by):
    assert person(by) == "ann"
