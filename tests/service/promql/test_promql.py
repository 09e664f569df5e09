"""PromQL over the embedded samples: what needs no Prometheus to compare with."""

from __future__ import annotations

import math
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from models.detection.batch import Batch
from models.domain.errors import BadInput
from service.promql import evaluate, evaluation
from service.promql.catalogue import support_table
from service.promql.parsing import parse
from service.store.samples import SampleStore

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PAGE = Path(__file__).parents[3] / "docs" / "telemetry.md"


@pytest.fixture
def store(tmp_path):
    opened = SampleStore(f"sqlite:///{tmp_path}/s.db", retention=timedelta(days=1), max_series=100, clock=lambda: NOW)
    yield opened
    opened.close()


@pytest.fixture
def ask(store):
    def asked(expression, at=NOW):
        return {frozenset(sample.labels.items()): sample.value for sample in evaluate(expression, store, at)}

    return asked


def put(store, name, points, **labels):
    for seconds_ago, value in points:
        series = ({"__name__": name, **labels},)
        store.append(Batch(NOW.timestamp() - seconds_ago, series, np.array([float(value)])))


def key(**labels):
    return frozenset(labels.items())


def test_the_answer_is_samples_at_the_time_asked(store):
    put(store, "up", [(20, 1), (5, 0)], service="shop")
    (sample,) = evaluate('up{service="shop"}', store, NOW)
    assert (sample.labels, sample.at, sample.value) == ({"__name__": "up", "service": "shop"}, NOW, 0.0)


def test_a_scalar_is_one_sample_without_labels(ask):
    assert ask("1 + 2 * 3") == {frozenset(): 7.0}
    assert ask("time()") == {frozenset(): NOW.timestamp()}


def test_a_series_is_found_for_less_than_five_minutes(store, ask):
    put(store, "old", [(299.999, 1)])
    put(store, "older", [(300, 1)])
    assert ask("old") == {key(__name__="old"): 1.0}
    assert ask("older") == {}
    assert ask("older", NOW - timedelta(milliseconds=1)) == {key(__name__="older"): 1.0}


def test_nothing_later_than_the_time_asked_is_seen(store, ask):
    put(store, "load", [(30, 1), (0, 2), (-30, 3)])
    assert ask("load") == {key(__name__="load"): 2.0}
    assert ask("load offset -30s") == {key(__name__="load"): 3.0}
    assert ask("load offset 30s") == {key(__name__="load"): 1.0}
    assert ask("sum_over_time(load[10m])") == {key(): 3.0}


@pytest.mark.parametrize("microseconds", [400, 500, 600, 1500, 999_500])
def test_a_sample_is_seen_at_its_own_time(store, microseconds):
    at = NOW + timedelta(microseconds=microseconds)
    store.append(Batch(at.timestamp(), ({"__name__": "load"},), np.array([1.0])))
    assert len(evaluate("load", store, at)) == 1


def test_a_range_leaves_out_its_oldest_instant(store, ask):
    put(store, "load", [(60, 1), (30, 1), (0, 1)])
    assert ask("count_over_time(load[1m])") == {key(): 2.0}


def test_increase_adds_what_was_counted_before_a_reset(store, ask):
    # 100 → 130, restart, 0 → 20: 50 in 45 s, and by extrapolation to both ends of the minute 50 * 60 / 45.
    put(store, "requests_total", [(52.5, 100), (37.5, 130), (22.5, 0), (7.5, 20)])
    assert ask("increase(requests_total[1m])") == {key(): pytest.approx(50 * 60 / 45)}
    assert ask("rate(requests_total[1m])") == {key(): pytest.approx(50 / 45)}
    assert ask("delta(requests_total[1m])") == {key(): pytest.approx(-80 * 60 / 45)}


def test_a_counter_is_not_extrapolated_below_zero(store, ask):
    # 2 at first, growing 10 in 15 s: it was zero 3 s before, not 7.5 s.
    put(store, "requests_total", [(52.5, 2), (37.5, 12), (22.5, 22), (7.5, 32)])
    assert ask("increase(requests_total[1m])") == {key(): pytest.approx(30 * (45 + 3 + 7.5) / 45)}


def test_one_sample_gives_no_rate(store, ask):
    put(store, "requests_total", [(10, 5)])
    assert ask("rate(requests_total[1m])") == {}
    assert ask("irate(requests_total[1m])") == {}
    assert ask("deriv(requests_total[1m])") == {}


def test_a_target_that_is_down_is_seen_through_up(store, ask):
    put(store, "up", [(30, 1), (15, 0)], service="shop")
    put(store, "up", [(30, 1), (15, 1)], service="orders-db")
    assert ask("up == 0") == {key(__name__="up", service="shop"): 0.0}
    assert ask("count(up == 0) / count(up)") == {key(): 0.5}


def test_comparisons_with_nan_and_infinity_follow_ieee(ask):
    assert ask("vector(NaN) == NaN") == {}
    assert ask("vector(NaN) != NaN") != {}
    assert ask("Inf > bool 1e308") == {key(): 1.0}
    assert math.isnan(ask("Inf - Inf")[key()])
    assert ask("1 / 0") == {key(): math.inf}
    assert math.isnan(ask("0 / 0")[key()])
    assert ask("-1 % 0 != bool 1") == {key(): 1.0}
    assert ask("max(vector(NaN) or on () vector(1))") != {}


def test_a_regular_expression_matches_the_whole_value_only(store, ask):
    put(store, "up", [(0, 1)], service="shop-api")
    assert ask('up{service=~"shop"}') == {}
    assert ask('up{service=~"shop|shop-.+"}') != {}
    assert ask('up{service!~"shop"}') != {}
    assert ask('up{service=~"(?i)SHOP-API"}') != {}
    assert ask('up{service=~"shop.*", zone=""}') != {}


def test_without_re2_patterns_work_the_same(store, ask, monkeypatch):
    monkeypatch.setitem(sys.modules, "re2", None)
    put(store, "up", [(0, 1)], service="a\nb")
    assert ask('up{service=~"a.b"}') != {}
    assert ask('up{service=~"a."}') == {}
    with pytest.raises(BadInput, match="regular expression"):
        ask('up{service=~"\\\\pL+"}')


@pytest.mark.parametrize(
    ("expression", "part"),
    [
        ("max_over_time(up[1h:1m])", "a subquery in 'up[1h:1m]'"),
        ("up @ 100", "the @ modifier"),
        ("rate(up[5m] @ end())", "the @ modifier"),
        ('up{a="b" or c="d"}', "`or` between matchers"),
        ('label_replace(up, "a", "b", "c", "d")', "the function label_replace()"),
        ("histogram_count(up)", "the function histogram_count()"),
        ('count_values("x", up)', "the aggregation count_values()"),
        ("up atan2 up", "the operator atan2"),
        ("up + fill(0) up", "the fill modifier"),
        ('"text"', "the string 'text' as a value"),
    ],
)
def test_what_is_outside_the_subset_is_named(ask, expression, part):
    with pytest.raises(BadInput) as refused:
        ask(expression)
    assert f"PromQL: {part}" in str(refused.value)
    assert "not supported by the embedded source" in str(refused.value)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("sum(up", "unclosed left parenthesis"),
        ("nosuch(up)", "unknown function with name 'nosuch'"),
        ("rate(up)", "expected type matrix"),
        ("", "no expression found"),
        ("{}", "at least one non-empty matcher"),
        ("up[5m]", "put it into a function such as rate()"),
        ("(" * 1000 + "1" + ")" * 1000, "nested more than 100 deep"),
        ("-(" * 101 + "up" + ")" * 101, "nested more than 100 deep"),
        ("1" + " + 1" * 500, "nested more than 100 deep"),
        ("a" * 20_000, "20000 characters"),
    ],
)
def test_what_cannot_be_parsed_gets_one_line(ask, expression, words):
    with pytest.raises(BadInput) as refused:
        ask(expression)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_matching_errors_name_the_series(store, ask):
    put(store, "used", [(0, 1)], host="a", disk="1")
    put(store, "used", [(0, 2)], host="a", disk="2")
    put(store, "size", [(0, 4)], host="a")
    with pytest.raises(BadInput, match="say so with group_left"):
        ask("used / on (host) size")
    with pytest.raises(BadInput, match=r"two series on the right side .*'disk': '2'"):
        ask("size / on (host) used")
    shares = ask("used / on (host) group_left size")
    assert shares == {key(host="a", disk="1"): 0.25, key(host="a", disk="2"): 0.5}


def test_an_expression_that_reads_too_much_is_stopped(store, ask, monkeypatch):
    monkeypatch.setattr(evaluation, "MAX_SAMPLES", 10)
    put(store, "load", [(seconds, 1) for seconds in range(11)])
    with pytest.raises(BadInput, match="over 10 samples"):
        ask("sum_over_time(load[1m])")


def test_a_parsed_expression_is_kept():
    assert parse("rate(requests_total[5m])") is parse("rate(requests_total[5m])")


def test_the_page_shows_what_is_supported():
    assert support_table() in PAGE.read_text(encoding="utf-8"), (
        "put what `python -m service.promql.catalogue` prints into the page"
    )
