"""Levels rise by evidence, one at a time and never above the mode, and fall at once."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import count, islice

import pytest

from models.domain.base import utc_now
from models.domain.errors import BadInput, Conflict, NotFound
from models.domain.execution import Mode
from models.domain.recommendation import RankedCandidate
from service.guard.record import SuccessRecord
from service.store.autonomy import Place
from tests.service.guard.autonomy_parts import PLACE, Replica, candidate, outcome_of

NOT_HEALTHY = "EXE was not verified healthy"


on_both_databases = pytest.mark.usefixtures("database_url")


@pytest.fixture
def replicas(make_settings, request):
    """Makes replicas of one installation; the first opens its incident."""
    both = "database_url" in request.fixturenames
    where = {"database_url": request.getfixturevalue("database_url")} if both else {}
    made = []

    def make(clock=utc_now, **changes):
        settings = {"autonomy": {"start": "approve"}} | where | changes
        made.append(Replica(make_settings(**settings), clock))
        if len(made) == 1:
            made[0].open_incident()
        return made[-1]

    yield make
    for one in made:
        assert one.audit.verify().breaks == ()
        one.database.close()


def audited(replica):
    return [e for e in replica.audit.entries(limit=1000) if e.event.startswith("autonomy.")]


@on_both_databases
def test_twenty_verified_successes_in_a_row_earn_auto_and_one_failure_takes_it_back(replicas):
    one = replicas()
    assert one.level() is Mode.APPROVE
    one.outcomes(range(19))
    assert one.level() is Mode.APPROVE
    assert one.levels.look(PLACE).missing == "1 more verified success"
    one.outcome(19)
    assert one.level() is Mode.AUTO
    one.outcome(20, verified=False, withdrawal=NOT_HEALTHY)
    assert one.level() is Mode.APPROVE
    now = one.levels.look(PLACE)
    assert (now.verified, now.failed, now.reason) == (0, 0, NOT_HEALTHY)
    assert now.missing == "20 more verified successes in a row"
    one.outcomes(range(21, 40))
    assert one.level() is Mode.APPROVE, "it is earned again from the beginning"
    one.outcome(40)
    assert one.level() is Mode.AUTO


@on_both_databases
def test_each_change_is_told_in_the_incident_that_caused_it_and_in_the_audit(replicas):
    one = replicas()
    one.outcomes(range(20))
    one.outcome(20, verified=False, withdrawal=NOT_HEALTHY)
    up, down = one.told()
    assert up.startswith("fix-shop/fix in default: approve → auto: verified successes: 20 of 20")
    assert down == f"fix-shop/fix in default: auto → approve: {NOT_HEALTHY}"
    promoted, demoted = audited(one)
    assert (promoted.event, demoted.event) == ("autonomy.promoted", "autonomy.demoted")
    assert promoted.subject == "fix-shop/fix in default"
    assert promoted.data["evidence"] == {"verified": 20, "failed": 0, "agreed": 0, "disagreed": 0}
    assert (demoted.data["execution"], demoted.data["incident"]) == ("EXE-20", "INC-1")


def test_an_operators_word_holds_until_the_first_failure(replicas):
    one = replicas(autonomy={"starts": {"default": "auto"}})
    assert one.level() is Mode.AUTO
    one.outcome(1)
    assert one.level() is Mode.AUTO
    one.outcome(2, verified=False, withdrawal=NOT_HEALTHY)
    assert one.level() is Mode.APPROVE
    one.outcomes(range(3, 22))
    assert one.level() is Mode.APPROVE


def test_a_failure_that_changed_nothing_counts_and_takes_nothing_back(replicas):
    one = replicas(autonomy={"start": "auto"})
    one.outcome(1, verified=False)
    assert one.level() is Mode.AUTO
    assert one.levels.look(PLACE).failed == 1


def test_the_mode_is_the_ceiling_and_what_was_earned_below_it_counts_when_it_rises(replicas):
    one = replicas(mode="approve")
    one.outcomes(range(25))
    here = one.levels.look(PLACE)
    assert (here.level, here.ceiling, here.effective) == ("approve", "approve", "approve")
    assert here.missing == "a mode of 'default' above approve"
    raised = replicas(mode="auto")
    raised.outcome(25)
    assert raised.level() is Mode.AUTO


def test_agreement_of_people_leads_as_far_as_approve_and_no_further(replicas):
    one = replicas(autonomy={"start": "observe", "bar": 0.5})  # seven in a row
    for episode in range(7):
        one.shadow(episode)
    assert one.level() is Mode.SUGGEST
    for episode in range(7, 13):
        one.shadow(episode)
    assert one.level() is Mode.SUGGEST, "what was counted for one step is not counted for the next"
    one.shadow(13)
    assert one.level() is Mode.APPROVE
    for episode in range(14, 30):
        one.shadow(episode)
    assert one.level() is Mode.APPROVE, "agreement says nothing of whether it helps"
    assert [e.data["to"] for e in audited(one)] == ["suggest", "approve"]


def test_a_rejection_counts_against_acting_alone(replicas):
    one = replicas()
    one.shadow(1, agreed=False)
    one.outcomes(range(20))
    here = one.levels.look(PLACE)
    assert (here.level, here.successes, here.trials) == ("approve", 20, 21)
    one.outcomes(range(20, 30))
    assert one.level() is Mode.AUTO


@on_both_databases
def test_a_person_is_heard_once_an_episode(replicas):
    one = replicas(autonomy={"start": "suggest"})
    assert one.shadow(1) is True
    assert one.shadow(1, agreed=False) is False
    here = one.levels.look(PLACE)
    assert (here.agreed, here.disagreed) == (1, 0)


def test_an_outcome_that_is_learnt_again_counts_once(replicas):
    one = replicas()
    for _ in range(30):
        one.outcome(1)
    assert one.levels.look(PLACE).verified == 1


def test_levels_are_of_one_environment_and_one_action(replicas):
    one = replicas(modes={"prod": "auto"})
    one.outcomes(range(20))
    assert one.levels.level(candidate(environment="prod")) is Mode.APPROVE
    assert one.levels.level(candidate(action="other")) is Mode.APPROVE
    assert [(each.environment, each.action, each.level) for each in one.levels.looks()] == [("default", "fix", "auto")]


@on_both_databases
def test_the_record_that_policies_ask_for_begins_where_trust_was_taken_back(replicas):
    one = replicas()
    one.outcomes(range(10))
    one.outcome(10, verified=False)
    one.outcomes(range(11, 60))
    assert one.level() is Mode.AUTO
    assert (one.levels.record(candidate()).successes, one.levels.record(candidate()).total) == (59, 60)
    one.outcome(60, verified=False, withdrawal=NOT_HEALTHY)
    assert one.levels.record(candidate()).total == 0
    one.outcomes(range(61, 81))
    assert one.level() is Mode.AUTO
    assert one.levels.record(candidate()).lower_bound > 0.8, "what was earned again is not held against by what was"


class TestAPersonsWord:
    def test_it_is_audited_with_name_and_reason_and_what_counts_begins_anew(self, replicas):
        one = replicas()
        one.outcomes(range(5))
        given = one.levels.set(PLACE, Mode.AUTO, "it is only a cache", "cli:ann")
        assert (given.level, given.by, given.reason) == ("auto", "cli:ann", "it is only a cache")
        [entry] = audited(one)
        assert (entry.event, entry.actor, entry.data["reason"]) == ("autonomy.set", "cli:ann", "it is only a cache")
        one.levels.set(PLACE, Mode.SUGGEST, "a new release", "cli:bob")
        assert one.levels.look(PLACE).agreed == 0
        assert one.levels.record(candidate()).total == 0

    def test_it_is_never_above_the_mode(self, replicas):
        one = replicas(modes={"prod": "suggest"})
        with pytest.raises(BadInput, match="'prod' is in mode suggest"):
            one.levels.set(Place("fix-shop", "fix", "prod"), Mode.APPROVE, "please", "ann")

    def test_the_same_level_again_is_refused(self, replicas):
        one = replicas()
        with pytest.raises(Conflict, match="is at approve already"):
            one.levels.set(PLACE, Mode.APPROVE, "please", "ann")
        assert audited(one) == []

    def test_a_name_that_nothing_knows_is_refused(self, replicas):
        with pytest.raises(NotFound, match="fix-shop/fxi"):
            replicas().levels.require(Place("fix-shop", "fxi", "default"), ())


@on_both_databases
def test_a_clock_that_is_set_back_neither_loses_nor_revives_what_was_learnt(replicas):
    now = utc_now()
    shift = timedelta()

    def clock():
        nonlocal now
        now += timedelta(milliseconds=1)
        return now + shift

    one = replicas(clock=clock)
    one.outcomes(range(20))
    assert one.level() is Mode.AUTO
    shift = -timedelta(hours=1)
    one.outcome(20, verified=False, withdrawal=NOT_HEALTHY)
    assert one.level() is Mode.APPROVE
    assert one.levels.look(PLACE).verified == 0
    one.outcome(21, verified=False)
    one.outcomes(range(22, 42))
    here = one.levels.look(PLACE)
    assert (here.level, here.verified, here.failed) == ("approve", 20, 1)


@on_both_databases
def test_a_crash_before_the_commit_leaves_neither_the_outcome_nor_the_demotion(replicas):
    """And the step that runs again brings both."""
    one = replicas(autonomy={"start": "auto"})
    boom = RuntimeError("power cut")
    audit = one.incidents.note

    def cut(*arguments, **named):
        raise boom

    one.incidents.note = cut
    with pytest.raises(RuntimeError, match="power cut"):
        one.outcome(1, verified=False, withdrawal=NOT_HEALTHY)
    one.incidents.note = audit
    assert one.executions.outcomes("fix-shop", "fix", "default") == []
    assert one.level() is Mode.AUTO
    one.outcome(1, verified=False, withdrawal=NOT_HEALTHY)
    assert one.level() is Mode.APPROVE


@on_both_databases
def test_replicas_that_learn_at_once_promote_once(replicas):
    first, second = replicas(), replicas()
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit((first, second)[n % 2].outcome, n) for n in range(30)]:
            done.result()
    assert [e.event for e in audited(first)] == ["autonomy.promoted"]
    assert first.level() is second.level() is Mode.AUTO
    counts = audited(first)[0].data["evidence"]
    assert counts["verified"] == 20, "promoted by the very outcome that was enough"


@on_both_databases
def test_replicas_that_learn_at_once_lose_no_demotion(replicas):
    """Successes, a failure and a person's word at the same instant: whatever the order, each is whole."""
    first, second = replicas(autonomy={"start": "auto"}), replicas(autonomy={"start": "auto"})
    jobs = [(first, second)[n % 2].outcome for n in range(12)]
    with ThreadPoolExecutor(8) as pool:
        running = [pool.submit(job, n) for n, job in enumerate(jobs)]
        running.append(pool.submit(second.outcome, 100, verified=False, withdrawal=NOT_HEALTHY))
        running.append(pool.submit(first.outcome, 101, verified=False, withdrawal=NOT_HEALTHY))
        for done in running:
            done.result()
    assert [e.event for e in audited(first)] == ["autonomy.demoted"], "two failures at auto demote once"
    assert first.level() is Mode.APPROVE
    document = json.dumps([e.data for e in audited(first)])
    assert NOT_HEALTHY in document


def test_the_default_policies_and_what_was_earned_do_not_contradict_each_other(installation):
    """Earned is permitted, also where it was earned again after a bad record; lost is not, at once."""
    parts = installation(policies=None, autonomy={"start": "approve"}).parts
    one = RankedCandidate(candidate=candidate(), probability=0.9, justification="", citations=())
    numbers = count()

    def ended(times, verified=True):
        with parts.database.write() as connection:
            for number in islice(numbers, times):
                learned = outcome_of(number, verified, parts.clock())
                parts.levels.learn(connection, learned, None if verified else NOT_HEALTHY)

    incident = Replica(parts.settings).open_incident()
    assert incident == "INC-1"
    ended(2, verified=False)
    ended(SuccessRecord(0, 2).wanted(0.8))
    assert parts.guard.decide(one).verdict == "permit"
    ended(1, verified=False)
    assert parts.guard.decide(one).verdict == "needs_approval"
    assert parts.guard.decide(one).level is Mode.APPROVE
    ended(19)
    assert parts.guard.decide(one).verdict == "needs_approval", "the policy alone would let it: 19 of 19"
    ended(1)
    assert parts.guard.decide(one).verdict == "permit"


@on_both_databases
def test_a_replica_whose_clock_is_behind_waits_for_its_turn(replicas):
    """Its failure came after the demotion, whatever its clock says: it counts."""
    given = {"autonomy": {"start": "auto"}}
    first, second = replicas(**given), replicas(lambda: utc_now() - timedelta(hours=1), **given)
    with ThreadPoolExecutor(1) as pool:
        with first.database.write() as connection:
            first.levels.learn(connection, outcome_of(1, False, utc_now()), NOT_HEALTHY)
            running = pool.submit(second.outcome, 2, verified=False)
            with pytest.raises(TimeoutError):  # gives it the time to begin
                running.result(0.5)
        running.result()
    assert second.levels.look(PLACE).failed == 1
