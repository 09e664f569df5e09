"""Each limit as a rule over facts: what holds, until when, and whom it concerns."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from models.domain.topology import Topology
from service.guard.rules import first_hold, reach, standing
from service.guard_settings import LimitSettings
from service.store.admission import Active, Doubt, Ended, Facts, Place, Start
from service.store.maintenance import MaintenanceWindow

NOW = datetime(2026, 6, 3, 12, 0, tzinfo=UTC)  # a Wednesday
PLACE = Place(target="process:shop-1", service="shop", environment="prod", action="fix-shop/restart")
TOPOLOGY = Topology.model_validate(
    {
        "services": {
            "shop": {"depends_on": ["orders"], "instances": [f"process:shop-{n}" for n in range(1, 7)]},
            "orders": {"depends_on": ["orders-db"]},
        }
    }
)


def ago(seconds):
    return NOW - timedelta(seconds=seconds)


def start(seconds, **place):
    return Start(ago(seconds), Place(**{**vars(PLACE), **place}))


def active(**place):
    return Active("EXE-9", "hash", Place(**{**vars(PLACE), **place}))


def facts(**changes):
    known = {
        "now": NOW, "place": PLACE, "kill_switch": False, "maintenance": (), "starts": (), "active": (), "doubts": (),
        "outcomes": (),
    }  # fmt: skip
    return Facts(**(known | changes))


def hold(of, **settings):
    free = {"rates": [], "blast_radius": {"share": None}}
    return first_hold(of, LimitSettings.model_validate(free | settings), TOPOLOGY)


def test_nothing_holds_what_keeps_within_all_limits():
    assert hold(facts(), rates=[{"count": 1, "per": "1m"}], blast_radius={"targets": 1, "share": 0.1}) is None


@pytest.mark.parametrize(
    ("scope", "other", "words", "concerns"),
    [
        ("all", {"target": "x", "service": "x", "environment": "x", "action": "x/x"}, "in all", "service"),
        ("environment", {"target": "x", "service": "x", "action": "x/x"}, "in 'prod'", "service"),
        ("service", {"target": "x", "action": "x/x"}, "on shop", "service"),
        ("target", {"action": "x/x"}, "on process:shop-1", "target"),
        ("action", {"target": "x", "service": "x", "environment": "x"}, "of fix-shop/restart", "action"),
    ],
)
def test_a_rate_counts_what_its_scope_says(scope, other, words, concerns):
    rates = [{"count": 2, "per": "10m", "scope": scope}]
    held = hold(facts(starts=(start(300, **other), start(20, **other))), rates=rates)
    assert held.reason == (
        f"2 executions started {words} within 10m, and 2 may; the next one from 2026-06-03 12:05:00 UTC on"
    )
    assert (held.until, held.wait, held.concerns) == (ago(300) + timedelta(minutes=10), True, concerns)
    assert hold(facts(starts=(start(600, **other), start(20, **other))), rates=rates) is None
    others = {"target": "y", "service": "y", "environment": "y", "action": "y/y"}
    if scope != "all":
        assert hold(facts(starts=(start(300, **others), start(20, **others))), rates=rates) is None


def test_a_service_is_meant_in_its_environment():
    staging = (start(1, environment="staging"), start(2, environment="staging", target="process:shop-2"))
    assert hold(facts(starts=staging), rates=[{"count": 1, "per": "1h", "scope": "service"}]) is None
    assert hold(facts(starts=staging), blast_radius={"targets": 1}) is None
    assert hold(facts(active=(active(service="orders-db", environment="staging", target="x"),))) is None


@pytest.mark.parametrize("seed", range(20))
def test_what_is_admitted_one_after_the_other_never_exceeds_a_rate_and_comes_when_it_was_said(seed):
    chance = random.Random(seed)
    count, per = chance.randint(1, 4), timedelta(seconds=chance.randint(5, 60))
    rates, starts, now = [{"count": count, "per": per}], [], NOW
    for _ in range(60):
        now += timedelta(seconds=chance.random() * 10)
        held = hold(facts(now=now, starts=tuple(starts)), rates=rates)
        if held is not None:
            just_before = facts(now=held.until - timedelta(microseconds=1), starts=tuple(starts))
            assert hold(just_before, rates=rates) is not None
            now = held.until
            assert hold(facts(now=now, starts=tuple(starts)), rates=rates) is None
        starts.append(Start(now, PLACE))
    times = [one.at for one in starts]
    assert all(later - first >= per for first, later in zip(times, times[count:], strict=False))


def test_the_blast_radius_counts_other_targets_and_lets_the_same_one_again():
    touched = tuple(start(60 * n, target=f"process:shop-{n}") for n in (1, 2, 3))
    assert hold(facts(starts=touched), blast_radius={"share": 0.5}) is None, "it is one of the three"
    fourth = Place(**{**vars(PLACE), "target": "process:shop-4"})
    held = hold(facts(place=fourth, starts=touched), blast_radius={"share": 0.5})
    assert held.reason == (
        "3 of 6 targets of shop were acted on within 1h, and 3 may be; the next one from 2026-06-03 12:57:00 UTC on"
    )
    assert (held.until, held.wait, held.concerns) == (ago(180) + timedelta(hours=1), False, "service")
    assert hold(facts(place=fourth, starts=touched), blast_radius={"share": None, "targets": 4}) is None
    assert hold(facts(place=fourth, starts=touched), blast_radius={"share": 0.9, "targets": 3}) is not None
    assert hold(facts(place=fourth, starts=touched), blast_radius={"share": 0.5, "per": "150s"}) is None


def test_one_target_is_always_allowed_and_what_still_acts_counts_however_long_ago_it_began():
    assert hold(facts(), blast_radius={"share": 0.01}) is None
    long_ago = facts(active=(active(target="process:shop-2"),))
    assert hold(long_ago, blast_radius={"share": 0.01}) is not None
    assert (reach(long_ago, LimitSettings().blast_radius, TOPOLOGY)) == reach(
        facts(starts=(start(1, target="process:shop-2"),)), LimitSettings().blast_radius, TOPOLOGY
    )
    assert reach(long_ago, LimitSettings().blast_radius, TOPOLOGY).share == pytest.approx(2 / 6)
    unknown = Place(**{**vars(PLACE), "service": "cart"})
    assert hold(facts(place=unknown), blast_radius={"share": 0.01}) is None
    assert reach(facts(place=unknown), LimitSettings().blast_radius, TOPOLOGY).share == 0


def test_the_breaker_opens_after_failures_in_a_row_and_then_lets_one_try():
    failed = tuple(Ended(verified=False, at=ago(60 * n)) for n in (10, 20, 30))
    held = hold(facts(outcomes=failed))
    assert held.reason == ("fix-shop/restart failed 3 times in a row in 'prod'; it rests until 2026-06-03 12:50:00 UTC")
    assert (held.wait, held.concerns) == (False, "action")
    assert hold(facts(outcomes=(Ended(verified=True, at=ago(1)), *failed))) is None
    assert hold(facts(outcomes=failed[:2])) is None
    rested = NOW + timedelta(minutes=50)
    assert hold(facts(now=rested - timedelta(seconds=1), outcomes=failed)) is not None
    assert hold(facts(now=rested, outcomes=failed)) is None
    trying = active(target="process:shop-5")
    second = hold(facts(now=rested, outcomes=failed, active=(trying,)))
    assert second.reason == "fix-shop/restart failed 3 times in a row and is being tried again by EXE-9"
    assert (second.wait, second.concerns) == (True, "action")
    elsewhere = active(target="process:shop-5", environment="staging")
    assert hold(facts(now=rested, outcomes=failed, active=(elsewhere,))) is None
    failed_again = (Ended(verified=False, at=rested), *failed)
    assert hold(facts(now=rested + timedelta(minutes=59), outcomes=failed_again)).until == rested + timedelta(hours=1)


def test_nothing_starts_above_what_is_being_worked_on():
    below = facts(active=(active(service="orders-db", target="process:db"),))
    held = hold(below)
    assert held.reason == "EXE-9 acts on orders-db, which shop depends on"
    assert (held.wait, held.concerns) == (True, "service")
    assert hold(below, dependency_order=False) is None
    above = facts(place=Place(**{**vars(PLACE), "service": "orders-db"}), active=(active(target="process:shop-2"),))
    assert hold(above) is None


def test_one_execution_a_target():
    held = hold(facts(active=(active(service="cart", action="x/x"),)))
    assert (held.reason, held.wait, held.concerns) == ("EXE-9 acts on process:shop-1", True, "target")


def test_a_target_in_doubt_waits_for_a_person():
    held = hold(facts(doubts=(Doubt("EXE-7-1-1", "INC-7"),)))
    assert held.reason == (
        "EXE-7-1-1 may or may not have acted on process:shop-1: look at it, then resolve or close INC-7"
    )
    assert (held.until, held.wait, held.concerns) == (None, False, "target")


def window(**changes):
    known = {
        "id": "MNT-1", "service": "shop*", "environment": "*", "starts_at": ago(60), "ends_at": ago(-3600),
        "reason": "new disks", "by": "ada",
    }  # fmt: skip
    return MaintenanceWindow.model_validate(known | changes)


def test_maintenance_holds_the_services_that_it_names_while_it_lasts():
    held = hold(facts(maintenance=(window(),)))
    assert held.reason == "people work on shop until 2026-06-03 13:00:00 UTC: new disks (maintenance MNT-1)"
    assert (held.until, held.wait, held.concerns) == (ago(-3600), False, "service")
    for other in ({"service": "cart"}, {"environment": "staging"}, {"starts_at": ago(-1)}, {"ends_at": NOW}):
        assert hold(facts(maintenance=(window(**other),))) is None, other


def test_standing_orders_go_first_and_also_stop_what_was_admitted():
    freeze = {"name": "release", "days": ["wed"], "timezone": "Europe/Berlin"}
    settings = LimitSettings.model_validate({"freezes": [freeze]})
    of = facts(starts=(start(1),), active=(active(),), doubts=(Doubt("EXE-7", "INC-7"),))
    assert first_hold(of, settings, TOPOLOGY) == standing(of, settings.freezes)
    assert standing(of, settings.freezes).reason == "the freeze 'release' holds until 2026-06-03 22:00:00 UTC"
    assert standing(of, ()) is None
    off = facts(kill_switch=True, maintenance=(window(),))
    assert standing(off, settings.freezes).reason == "the kill switch is on"


def test_of_what_passes_by_itself_the_longest_is_told():
    of = facts(starts=(start(1),), active=(active(),))
    held = hold(of, rates=[{"count": 1, "per": "1m"}, {"count": 1, "per": "1h"}])
    assert held.until == ago(1) + timedelta(hours=1)
