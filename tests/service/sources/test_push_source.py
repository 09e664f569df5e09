"""Telemetry that is pushed: the good items are kept, the others named."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta

import pytest

from models.domain.errors import BadInput
from service.sources.push import read_telemetry

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
GOOD = {"labels": {"__name__": "load", "host": "a"}, "at": NOW.timestamp(), "value": 1}


def read(payload):
    return read_telemetry(payload, now=NOW, retention=timedelta(hours=6))


def changed(**parts):
    return {**GOOD, **parts}


def labelled(**labels):
    return changed(labels={"__name__": "load", **labels})


def test_samples_of_one_time_are_one_batch_in_time_order():
    later = NOW + timedelta(seconds=15)
    telemetry = read(
        {
            "samples": [
                {"labels": {"__name__": "load", "host": "a"}, "at": later.timestamp(), "value": 3},
                {"labels": {"__name__": "load", "host": "a"}, "at": "2026-03-01T12:00:00Z", "value": 1.5},
                {
                    "labels": {"__name__": "load", "host": "b", "zone": ""},
                    "at": "2026-03-01T13:00:00+01:00",
                    "value": 2,
                },
            ]
        }
    )
    assert telemetry.refused == ()
    assert telemetry.accepted == 3
    first, second = telemetry.batches
    assert (first.at, second.at) == (NOW.timestamp(), later.timestamp())
    assert first.series == ({"__name__": "load", "host": "a"}, {"__name__": "load", "host": "b"})
    assert first.values.tolist() == [1.5, 2.0]


def test_the_three_spelled_values_are_read():
    samples = [changed(value=value, labels={"__name__": "v", "n": value}) for value in ("NaN", "+Inf", "-Inf")]
    (batch,) = read({"samples": samples}).batches
    assert math.isnan(batch.values[0])
    assert batch.values.tolist()[1:] == [math.inf, -math.inf]


def test_of_two_values_of_one_series_and_time_the_later_stays():
    (batch,) = read({"samples": [changed(value=1), changed(value=2)]}).batches
    assert batch.values.tolist() == [2.0]


def test_a_partly_bad_payload_keeps_the_good_and_names_the_bad():
    telemetry = read({"samples": [GOOD, changed(value="many"), labelled(host="b"), 7], "comment": "x"})
    assert [labels["host"] for batch in telemetry.batches for labels in batch.series] == ["a", "b"]
    assert [refused.path for refused in telemetry.refused] == ["$.comment", "$.samples[1].value", "$.samples[3]"]
    assert telemetry.refused[1].problem == 'write a number, "NaN", "+Inf" or "-Inf"'


@pytest.mark.parametrize(
    ("item", "path", "words"),
    [
        ([], "", "write an object"),
        ({"labels": {"__name__": "a"}, "at": NOW.timestamp()}, ".value", "missing"),
        (changed(extra=1), ".extra", "unknown field"),
        (changed(labels=["a"]), ".labels", "write an object"),
        (changed(labels={"host": "a"}), ".labels.__name__", "the metric's name"),
        (changed(labels={"__name__": "9lives"}), ".labels.__name__", "not first a digit"),
        (changed(labels={"__name__": "a b"}), ".labels.__name__", "the metric's name"),
        (labelled(**{"a-b": "c"}), ".labels['a-b']", "letters, digits and _"),
        (labelled(__meta="c"), ".labels.__meta", "reserved"),
        (labelled(host=5), ".labels.host", "write a text, not int"),
        (labelled(host="x" * 5000), ".labels.host", "at most 4096"),
        (labelled(host=json.loads('"\\ud800"')), ".labels.host", "not valid text"),
        (labelled(**{f"l{n}": "x" for n in range(70)}), ".labels", "at most 64"),
        (changed(value=True), ".value", "write a number"),
        (changed(value=None), ".value", "write a number"),
        (changed(value="12"), ".value", "write a number"),
        (changed(value=10**400), ".value", "beyond the largest float"),
        (changed(at="yesterday"), ".at", "write RFC 3339"),
        (changed(at="2026-03-01T12:00:00"), ".at", "with a zone"),
        (changed(at="2026-02-30T12:00:00Z"), ".at", "no such time"),
        (changed(at=True), ".at", "write RFC 3339"),
        (changed(at=math.nan), ".at", "write RFC 3339"),
        (changed(at=10**400), ".at", "beyond the largest float"),
        (changed(at=NOW.timestamp() + 601), ".at", "601 s in the future"),
        (changed(at=NOW.timestamp() * 1000), ".at", "unix time is taken in seconds"),
        (changed(at=NOW.timestamp() - 6 * 3600 - 1), ".at", "longer ago than the 6h that samples are kept"),
    ],
)
def test_each_bad_item_is_refused_with_its_path_and_reason(item, path, words):
    telemetry = read({"samples": [GOOD, item]})
    assert telemetry.accepted == 1
    (refused,) = telemetry.refused
    assert refused.path == f"$.samples[1]{path}"
    assert words in refused.problem


def test_the_limits_of_time_are_within():
    samples = [changed(at=NOW.timestamp() + 600), changed(at=NOW.timestamp() - 6 * 3600)]
    assert read({"samples": samples}).accepted == 2


@pytest.mark.parametrize(
    ("payload", "where"), [([], "$"), ("x", "$"), (None, "$"), ({}, "$.samples"), ({"samples": {}}, "$.samples")]
)
def test_a_payload_of_another_shape_is_bad_input(payload, where):
    with pytest.raises(BadInput) as refused:
        read(payload)
    assert refused.value.where == where


def test_an_empty_list_is_nothing():
    assert read({"samples": []}).batches == ()


def test_a_sample_without_a_time_is_of_now():
    read = read_telemetry(
        {"samples": [{"labels": {"__name__": "a"}, "value": 1}]}, now=NOW, retention=timedelta(hours=6)
    )
    assert [batch.at for batch in read.batches] == [NOW.timestamp()]
