"""Scraping real HTTP endpoints on loopback."""

from __future__ import annotations

import gzip
import socket
import time
from datetime import UTC, datetime, timedelta

import pytest

from models.domain.errors import BadInput
from service.settings import ScrapeTarget
from service.sources.scrape import Scraper

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEXT = {"Content-Type": "text/plain; version=0.0.4"}


@pytest.fixture
def exposing(loopback):
    """Serves a text on /metrics; anything on other paths."""

    def expose(text, status=200, pause=0.0, headers=TEXT):
        body = text if isinstance(text, bytes) else text.encode()
        loopback.answer = lambda _: loopback.Answer(status, body, headers, pause)
        return f"{loopback.url}/metrics"

    return expose


def scraped(*targets: ScrapeTarget, timeout=2.0, **options):
    """The labels and values of one scrape, without those that the scraper adds; and the scraper's own by name."""
    with Scraper(targets, timedelta(seconds=timeout), **options) as scraper:
        batch = scraper.scrape(AT)
        assert batch.at == AT.timestamp()
        found = list(zip(batch.series, batch.values.tolist(), strict=True))
        errors = scraper.last_error
    own = ("up", "scrape_duration_seconds", "scrape_samples_scraped")
    return (
        [(labels, value) for labels, value in found if labels["__name__"] not in own],
        {labels["__name__"]: value for labels, value in found if labels["__name__"] in own},
        errors,
    )


def test_samples_come_with_the_targets_labels(exposing):
    url = exposing(
        "# HELP requests_total All.\n# TYPE requests_total counter\n"
        'requests_total{path="/a",code="200"} 12\nrequests_total{path="/b",code=""} 3 1700000000000\n'
        "# TYPE temperature gauge\ntemperature -Inf\n"
    )
    samples, own, errors = scraped(ScrapeTarget(url=url, labels={"service": "shop", "empty": ""}))
    assert samples == [
        ({"__name__": "requests_total", "path": "/a", "code": "200", "service": "shop"}, 12.0),
        ({"__name__": "requests_total", "path": "/b", "service": "shop"}, 3.0),
        ({"__name__": "temperature", "service": "shop"}, float("-inf")),
    ]
    assert own["up"] == 1
    assert own["scrape_samples_scraped"] == 3
    assert 0 < own["scrape_duration_seconds"] < 2
    assert errors == {url: None}


def test_names_are_kept_whatever_their_type(exposing):
    url = exposing(
        "# TYPE errors counter\nerrors 1\n"
        '# TYPE wait histogram\nwait_bucket{le="1"} 1\nwait_bucket{le="+Inf"} 2\nwait_sum 3\nwait_count 2\n'
        '# TYPE size summary\nsize{quantile="0.5"} 1\nsize_sum 1\nsize_count 1\n'
    )
    samples, _, _ = scraped(ScrapeTarget(url=url))
    assert [labels["__name__"] for labels, _ in samples] == [
        "errors", "wait_bucket", "wait_bucket", "wait_sum", "wait_count", "size", "size_sum", "size_count",
    ]  # fmt: skip


def test_openmetrics_is_read_too(exposing):
    url = exposing(
        '# TYPE requests counter\nrequests_total{a="b"} 4 # {trace="x"} 1\n# EOF\n',
        headers={"Content-Type": "application/openmetrics-text; version=1.0.0; charset=utf-8"},
    )
    samples, own, _ = scraped(ScrapeTarget(url=url, labels={"service": "shop"}))
    assert samples == [({"__name__": "requests_total", "a": "b", "service": "shop"}, 4.0)]
    assert own["up"] == 1


def test_a_label_that_the_target_has_too_is_exported(exposing):
    url = exposing('load{service="inner",exported_service="older",zone="n"} 1\n')
    samples, _, _ = scraped(ScrapeTarget(url=url, labels={"service": "shop"}))
    labels = {"exported_exported_service": "inner", "exported_service": "older", "service": "shop", "zone": "n"}
    assert samples == [({"__name__": "load", **labels}, 1.0)]


def test_of_equal_series_the_first_stays_and_up_is_ours(exposing):
    url = exposing("load 1\nload 2\nup 5\n")
    samples, own, _ = scraped(ScrapeTarget(url=url))
    assert samples == [({"__name__": "load"}, 1.0)]
    assert own["up"] == 1


@pytest.mark.parametrize(
    "text",
    [
        "<html>Not found</html>",
        "load",
        "load x",
        'load{a="b" 1',
        "load{a=b} 1",
        "# TYPE load nonsense\nload 1",
        b"\xff 1",
    ],
)
def test_a_malformed_exposition_is_down_with_the_reason(exposing, caplog, text):
    url = exposing(text)
    samples, own, errors = scraped(ScrapeTarget(url=url))
    assert samples == []
    assert (own["up"], own["scrape_samples_scraped"]) == (0, 0)
    assert errors[url].startswith("malformed exposition: ")
    assert f"scrape of {url} failed: malformed exposition" in caplog.text


def test_half_an_exposition_is_not_taken(exposing):
    samples, own, _ = scraped(ScrapeTarget(url=exposing("good 1\nbad\n")))
    assert samples == []
    assert own["up"] == 0


def test_another_status_is_down(exposing):
    url = exposing("load 1\n", status=503)
    samples, own, errors = scraped(ScrapeTarget(url=url))
    assert (samples, own["up"], errors) == ([], 0, {url: "answered with status 503"})


def test_nobody_listening_is_down():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/metrics"
    _, own, errors = scraped(ScrapeTarget(url=url))
    assert own["up"] == 0
    assert errors[url].startswith("cannot be reached")


def test_a_target_that_drips_is_down_after_the_timeout(exposing):
    url = exposing("load 1\n" * 100, pause=0.02)
    began = time.monotonic()
    _, own, errors = scraped(ScrapeTarget(url=url), timeout=0.3)
    assert time.monotonic() - began < 1.5
    assert (own["up"], errors[url]) == (0, "no whole answer within 0.3 s")
    assert own["scrape_duration_seconds"] == pytest.approx(0.3, abs=0.2)


def test_a_body_beyond_the_cap_is_not_read_on(exposing):
    body = gzip.compress(b"load 1\n" * 100_000)
    url = exposing(body, headers={**TEXT, "Content-Encoding": "gzip"})
    _, own, errors = scraped(ScrapeTarget(url=url), max_bytes=10_000)
    assert (own["up"], errors[url]) == (0, "exposes more than 10000 bytes")


def test_targets_are_fetched_at_once_and_one_that_hangs_does_not_hurt_others(loopback):
    def answer(request):
        text = b"load 1\n"
        return loopback.Answer(200, text, TEXT, pause=1.0 if request.path == "/hung" else 0.05)

    loopback.answer = answer
    targets = [ScrapeTarget(url=f"{loopback.url}/{path}", labels={"target": path}) for path in ("hung", *"abcd")]
    began = time.monotonic()
    with Scraper(targets, timedelta(seconds=1)) as scraper:
        batch = scraper.scrape(AT)
    assert time.monotonic() - began < 1.8
    up = {labels["target"]: value for labels, value in zip(batch.series, batch.values, strict=True)
          if labels["__name__"] == "up"}  # fmt: skip
    assert up == {"hung": 0.0, **dict.fromkeys("abcd", 1.0)}


def test_a_target_comes_back_and_its_error_goes(exposing, loopback):
    url = exposing("broken")
    with Scraper([ScrapeTarget(url=url)], timedelta(seconds=2)) as scraper:
        scraper.scrape(AT)
        assert scraper.last_error[url] is not None
        loopback.answer = lambda _: None
        scraper.scrape(AT)
        exposing("load 1\n")
        batch = scraper.scrape(AT + timedelta(seconds=15))
        assert scraper.last_error[url] is None
    assert {"__name__": "load"} in batch.series


def test_targets_with_equal_labels_are_refused():
    targets = [ScrapeTarget(url="http://a/"), ScrapeTarget(url="http://b/", labels={"zone": ""})]
    with pytest.raises(BadInput, match=r"scrape\.1\.labels: the same as of scrape\.0"):
        Scraper(targets, timedelta(seconds=1))


@pytest.mark.parametrize("name", ["__name__", "a-b", "9a", ""])
def test_target_labels_are_named_as_labels_are(name):
    with pytest.raises(BadInput, match=r"scrape\.0\.labels: .* cannot name a label"):
        Scraper([ScrapeTarget(url="http://a/", labels={name: "x"})], timedelta(seconds=1))


@pytest.mark.parametrize("url", ["http://[", "http://nowhere.invalid:99999/", "http://\u2603..x/"])
def test_a_url_that_cannot_be_used_is_down(url):
    _, own, errors = scraped(ScrapeTarget(url=url))
    assert own["up"] == 0
    assert errors[url].startswith("cannot be reached")


def test_no_targets_is_an_empty_batch():
    with Scraper([], timedelta(seconds=1)) as scraper:
        assert scraper.scrape(AT).series == ()
