"""What is recorded follows from the seed, the number and the subjects alone; the file can be continued."""

from random import Random

import pytest

from evals.recording.alarms import alarm
from evals.recording.noise import NOISES
from evals.recording.plan import BLOCK, plan
from evals.recording.subjects import SUBJECTS, subjects_of
from evals.sandbox.config import SCRAPED
from evals.sandbox.faults import FAULTS
from models.domain.errors import BadInput


def numbered(seed, count, subjects=None):
    found = [
        variant for session in plan(seed, count, subjects or tuple(SUBJECTS.values())) for variant in session.variants
    ]
    return sorted(found, key=lambda one: one.number)


def test_more_of_the_same_seed_begins_with_the_same_variants_and_another_seed_does_not():
    assert numbered(7, 100)[:40] == numbered(7, 40)
    assert [one.subject.name for one in numbered(8, 40)] != [one.subject.name for one in numbered(7, 40)]
    assert [one.random().random() for one in numbered(7, 3)] == [one.random().random() for one in numbered(7, 3)]
    loads = {session.name: (session.load, session.warmup) for session in plan(7, 100, tuple(SUBJECTS.values()))}
    for session in plan(7, 40, tuple(SUBJECTS.values())):
        assert loads[session.name] == (session.load, session.warmup)


def test_every_subject_comes_equally_often():
    names = [one.subject.name for one in numbered(1, 64)]
    assert {name: names.count(name) for name in SUBJECTS} == dict.fromkeys(SUBJECTS, 64 // len(SUBJECTS))
    assert set(FAULTS) < set(SUBJECTS)
    few = subjects_of(["kill_service", "overload"])
    assert {one.subject.name for one in numbered(1, 9, few)} == {"kill_service", "overload"}


def test_an_id_and_its_place_tell_nothing_of_the_fault():
    assert [one.id for one in numbered(3, 2)] == ["sandbox-3-000", "sandbox-3-001"]
    first = {numbered(seed, 1)[0].subject.name for seed in range(20)}
    assert len(first) > 5


def test_variants_of_a_session_can_share_a_sandbox():
    for session in plan(1, 64, tuple(SUBJECTS.values())):
        assert len({(repr(one.subject.settings), one.subject.runbooks) for one in session.variants}) == 1
        assert len({one.number // BLOCK for one in session.variants}) == 1


def test_no_noise_touches_what_its_variant_is_about():
    seen = {(one.subject.name, one.noise) for one in numbered(1, 2000)}
    assert {noise for _, noise in seen} == {"", *NOISES}
    for noise in NOISES.values():
        assert not any((subject, noise.name) in seen for subject in noise.unfit)
        assert set(noise.unfit) <= set(SUBJECTS)


def test_the_truth_is_what_the_fault_declares_and_null_where_nothing_helps():
    golds = {name: subject.gold for name, subject in SUBJECTS.items()}
    without = {"wrong_remedy", "crowd_connections", "false_alarm", "foreign_alert"}
    assert {name for name, gold in golds.items() if gold is None} == without
    assert golds["kill_database"].model_dump() == {
        "runbook": "postgres-down", "action": "restart-database", "remediation": "PostgreSQL was restarted.",
        "culprit": "orders-db",
    }  # fmt: skip


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(BadInput, match=r"no 'meteor' to record: choose one of kill_service.*false_alarm"):
        subjects_of(["overload", "meteor"])


@pytest.mark.parametrize("subject", ["false_alarm", "foreign_alert"])
def test_every_alarm_is_about_something_that_is_watched(subject):
    alarms = [alarm(subject, Random(seed)) for seed in range(200)]
    assert len({one["name"] for one in alarms}) >= 6
    watched = {(labels["service"], labels["process"]) for labels in SCRAPED.values()}
    assert {(one["labels"]["service"], one["labels"]["process"]) for one in alarms} <= watched
