"""Freeze windows against the wall clock of their zone, minute by minute, and on the days when clocks change."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from models.domain.errors import BadInput
from service.guard.freezes import frozen
from service.guard_settings import Freeze
from service.settings import load_settings

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Sao_Paulo")


def freeze(**changes):
    return Freeze.model_validate({"name": "weekend", **changes})


def until(now, *freezes, environment="prod", service="shop"):
    found = frozen(freezes, environment, service, now)
    return found[1] if found else None


def at(text, zone="UTC", fold=0):
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(("begins", "ends"), [("22:00", "06:00"), ("09:00", "17:30"), ("00:00", "00:00")])
def test_a_week_without_a_clock_change_is_frozen_exactly_while_the_wall_clock_says_so(zone, begins, ends):
    window = freeze(days=["fri", "sun"], timezone=zone, **{"from": begins, "to": ends})
    for step in range(0, 7 * 24 * 60, 30):
        now = datetime(2026, 6, 1, tzinfo=UTC) + timedelta(minutes=step)
        wall = now.astimezone(ZoneInfo(zone))
        clock, day, before = f"{wall:%H:%M}", wall.weekday(), (wall.weekday() - 1) % 7
        if ends > begins:
            expected = day in (4, 6) and begins <= clock < ends
        else:
            expected = (day in (4, 6) and clock >= begins) or (before in (4, 6) and clock < ends)
        assert (until(now, window) is not None) is expected, f"{now} is {wall}"


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
@pytest.mark.parametrize("month", [3, 4, 10, 11])
@pytest.mark.parametrize(("begins", "ends"), [("22:00", "02:30"), ("01:30", "04:00"), ("02:15", "02:45")])
def test_where_clocks_change_a_window_has_no_holes_and_ends_when_it_says(zone, month, begins, ends):
    window = freeze(days=["sat", "sun"], timezone=zone, **{"from": begins, "to": ends})
    now, last = datetime(2026, month, 1, tzinfo=UTC), datetime(2026, month, 28, tzinfo=UTC)
    while now < last:
        said = until(now, window)
        if said is None:
            now += timedelta(minutes=15)
            continue
        assert until(said - timedelta(seconds=1), window) is not None
        assert until(said, window) is None
        inside = now
        while inside < said:
            assert until(inside, window) == said, "its end does not move while it holds"
            inside += timedelta(minutes=45)
        assert said - now <= timedelta(hours=9)
        now = said


def test_an_hour_that_comes_twice_is_frozen_twice():
    window = freeze(days=["sun"], timezone="Europe/Berlin", **{"from": "02:15", "to": "02:45"})
    first, second = at("2026-10-25T02:15", "Europe/Berlin"), at("2026-10-25T02:45", "Europe/Berlin", fold=1)
    assert second - first == timedelta(minutes=90)
    assert until(first - timedelta(seconds=1), window) is None
    assert until(first, window) == until(second - timedelta(seconds=1), window) == second


def test_a_time_that_is_left_out_is_the_moment_of_the_change():
    jump = datetime(2026, 3, 29, 1, 0, tzinfo=UTC)  # 02:00 becomes 03:00 in Berlin
    starts = freeze(days=["sun"], timezone="Europe/Berlin", **{"from": "02:30", "to": "05:00"})
    assert until(jump - timedelta(seconds=1), starts) is None
    assert until(jump, starts) == at("2026-03-29T05:00", "Europe/Berlin")
    ends = freeze(days=["sat"], timezone="Europe/Berlin", **{"from": "22:00", "to": "02:30"})
    assert until(jump - timedelta(hours=2), ends) == jump


def test_a_day_that_begins_at_one_o_clock_is_frozen_from_there():
    """Clocks in São Paulo jumped over midnight of that Sunday."""
    window = freeze(days=["sun"], timezone="America/Sao_Paulo")
    begins = at("2018-11-04T01:00", "America/Sao_Paulo")
    assert until(begins - timedelta(seconds=1), window) is None
    assert until(begins, window) == at("2018-11-05T00:00", "America/Sao_Paulo")


def test_a_day_that_a_zone_left_out_is_no_time():
    """Samoa had no 30 December 2011, which would have been a Friday."""
    friday = freeze(days=["fri"], timezone="Pacific/Apia")
    for hour in range(72):
        now = datetime(2011, 12, 29, tzinfo=UTC) + timedelta(hours=hour)
        assert until(now, friday) is None


def test_windows_that_follow_each_other_end_together():
    weekend = freeze(days=["sat", "sun"], timezone="Europe/Berlin")
    monday = freeze(name="monday", days=["mon"], timezone="Europe/Berlin", **{"from": "00:00", "to": "07:00"})
    now = at("2026-06-06T12:00", "Europe/Berlin")
    assert until(now, weekend, monday) == at("2026-06-08T07:00", "Europe/Berlin")
    found = frozen([weekend, monday], "prod", "shop", now)
    assert found is not None
    assert found[0].name == "weekend"
    every_day = freeze(days=["mon", "tue", "wed", "thu", "fri", "sat", "sun"])
    assert until(now, every_day) >= now + timedelta(days=366)


@pytest.mark.parametrize(
    ("start", "end", "first", "last"),
    [
        ("2026-12-20T00:00:00", "2026-12-27T00:00:00", "2026-12-19T23:00+00:00", "2026-12-26T23:00+00:00"),
        ("2026-12-20T00:00:00-05:00", "2026-12-21", "2026-12-20T05:00+00:00", "2026-12-20T23:00+00:00"),
    ],
)
def test_a_freeze_of_one_time_counts_in_its_zone_where_no_offset_is_written(start, end, first, last):
    window = freeze(start=start, end=end, timezone="Europe/Berlin")
    begins, ends = datetime.fromisoformat(first), datetime.fromisoformat(last)
    assert until(begins - timedelta(seconds=1), window) is None
    assert until(begins, window) == until(ends - timedelta(seconds=1), window) == ends
    assert until(ends, window) is None


def test_only_what_its_globs_name_is_frozen():
    window = freeze(days=["mon"], environments=["prod*"], services=["shop", "*-db"])
    monday = datetime(2026, 6, 1, 12, tzinfo=UTC)
    for environment, service, held in [
        ("prod", "shop", True), ("prod-eu", "orders-db", True), ("test", "shop", False), ("prod", "cart", False),
        ("prod", "", False), ("PROD", "shop", False),
    ]:  # fmt: skip
        assert (until(monday, window, environment=environment, service=service) is not None) is held
    assert until(monday, freeze(days=["mon"]), service="") is not None


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ({"days": ["mon"], "from": 1320, "to": "23:00"}, 'write it in quotes, for example "22:00"'),
        ({"days": ["mon"], "from": "22:00+01:00", "to": "23:00"}, "has an offset; leave it out"),
        ({"days": ["mon"], "from": "22:00"}, "from and to go together"),
        ({"days": ["mon"], "start": "2026-01-01", "end": "2026-01-02"}, "either days, or start and end"),
        ({"start": "2026-01-02T00:00", "end": "2026-01-01T00:00"}, "end must be after start"),
        ({"start": "2026-01-02T00:00", "end": "2026-01-02T00:30+01:00"}, "end must be after start"),
        ({"days": ["mon"], "timezone": "Europe/Bärlin"}, "there is no time zone"),
    ],
)
def test_what_cannot_be_meant_is_refused(written, words):
    with pytest.raises(ValidationError, match=words):
        freeze(**written)


def test_an_unquoted_time_in_the_settings_file_is_refused_and_not_read_as_another(tmp_path, monkeypatch):
    file = tmp_path / "suture.yaml"
    file.write_text("limits:\n  freezes:\n    - {name: night, days: [mon], from: 22:00, to: 23:00}\n")
    monkeypatch.setenv("SUTURE_CONFIG", str(file))
    with pytest.raises(BadInput, match=r'write it in quotes, for example "22:00"'):
        load_settings()


@pytest.mark.parametrize(
    "once",
    [
        {"start": "2026-01-01T00:00:00", "end": "9999-12-31T23:59:59", "timezone": "America/New_York"},
        {"start": "0001-01-01T00:00:00", "end": "9999-12-31T23:59:59", "timezone": "Europe/Berlin"},
        {"start": "2026-01-01T00:00:00Z", "end": "9999-12-31T23:59:59-05:00"},
    ],
)
def test_a_freeze_for_ever_holds(once):
    assert until(datetime(2026, 3, 1, tzinfo=UTC), freeze(**once)).year == 9999
