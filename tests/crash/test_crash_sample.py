"""A sample of `make crash`: SIGKILL at boundaries and at random instants, on both databases."""

import random

import pytest

from tests.crash.rounds import Rehearsal, Round
from tests.crash.suite import Plan, Suite, boundaries, table
from tests.postgresql import new_database

SEED = 20261124


@pytest.fixture(scope="module")
def suite(workers, postgres_url):
    return Suite(workers, {"SQLite": lambda: None, "PostgreSQL": lambda: new_database(postgres_url)}, SEED)


@pytest.fixture(scope="module")
def rehearsal(suite):
    return suite.rehearse()


def test_kills_lose_nothing_and_repeat_nothing(suite, rehearsal):
    suite.run(Plan(boundaries=24, walks=0, mixed=8, pairs=8), rehearsal)
    assert suite.verdict.faults == [], table(suite)
    assert suite.total.kills == 40


def test_every_step_has_boundaries_before_it_after_it_and_after_its_record(rehearsal):
    found = rehearsal.boundaries["observable"]
    for step in ("investigate", "decide-1", "start-1", "act-1", "verify-1", "succeeded-1", "learn"):
        assert {f"{step}/step {at}" for at in ("before", "done", "recorded")} <= set(found)
    marker, effect = "act-1/commit Executions.begin after", "target/observable/executor sent"
    record = "act-1/commit Executions.record before"
    assert found.index(marker) < found.index(effect) < found.index(record)


def test_acts_are_killed_at_first_and_the_rest_by_chance(rehearsal):
    few = boundaries(rehearsal, 20, random.Random(1))
    assert all("/executor" in boundary or boundary.startswith(("act-", "roll-back-")) for _, boundary in few)


@pytest.mark.parametrize(
    ("mutation", "kind", "boundary", "fault"),
    [
        ("act-before-the-marker", "neither", "target/neither/executor act after", "repeated"),
        ("never-asks", "neither", "target/neither/executor act after", "repeated"),
        ("forgets-steps", "observable", "target/observable/executor act after", "repeated"),
    ],
)
def test_the_suite_finds_a_broken_promise(new_site, mutation, kind, boundary, fault):
    site = new_site()
    site.mutations = [mutation]
    broken = Round(site, Rehearsal({}, {}), random.Random(SEED))
    broken.at_boundaries([(kind, boundary)])
    assert vars(broken.finish().of(kind))[fault] == 1, site.log()
