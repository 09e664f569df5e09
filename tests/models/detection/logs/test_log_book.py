"""Templates, levels, the stream's time, the rule for new errors, and a saved state."""

import random

import pytest

from models.detection.logs.book import LogBook
from models.detection.logs.config import LogSettings
from models.detection.logs.levels import level_in, level_named, level_numbered
from models.detection.logs.lines import LogLine
from models.detection.logs.masking import mask, telling_line
from models.detection.meaning import Role, family_of, role_of

START = 1_767_225_600.0
SHOP = ("shop", "prod")


@pytest.mark.parametrize(
    ("line", "masked"),
    [
        ("took 12.5ms for 3 rows", "took <num> for <num> rows"),
        ("2026-01-31T12:00:00.123Z started", "<time> started"),
        ("peer 10.0.0.7:5432 and [fe80:0:0:0:1:2:3:4]:80", "peer <ip> and <ip>"),
        ("order_17 of 0xff and 5f2b9c01d3aa", "order_<num> of <id> and <id>"),
        ("id 7b1c0a52-11aa-4b6c-9d2e-0123456789ab", "id <uuid>"),
        ("mail to a.b@example.org with password=x1!y", "mail to <email> with password=<secret>"),
        ("http2 deadbeef face v1 utf8", "http2 deadbeef face v1 utf8"),
        ("", ""),
    ],
)
def test_what_differs_is_masked_and_words_are_not(line, masked):
    assert mask(line) == masked


def test_the_telling_line_of_a_message():
    assert telling_line("first\n  at Order.java:5") == "first"
    assert telling_line("Traceback (most recent call last):\n  File x\nKeyError: 'a'\n") == "KeyError: 'a'"
    assert telling_line("\x1b[31mred\x1b[0m") == "red"


def test_levels():
    assert [level_named(name) for name in ("WARN", "fatal", "Notice", "loud")] == ["warning", "critical", "info", None]
    assert [level_numbered(number) for number in (1, 9, 13, 17, 24, 0, 25)] == [
        "debug", "info", "warning", "error", "critical", None, None,
    ]  # fmt: skip
    assert level_in("12:00 ERROR no") == "error"
    assert level_in("ts=1 level=warn msg=x") == "warning"
    assert level_in("the error was mended") == "unknown"


def test_an_error_never_hides_in_information():
    book = LogBook(LogSettings())
    lines = [LogLine(START, SHOP, level, "connection to db closed") for level in ("info", "error")]
    book.take(lines, START)
    assert sorted(t.level for t in book.services[SHOP].templates.by_id.values()) == ["error", "info"]


def test_what_a_departure_of_the_series_means():
    assert role_of("log_errors_total", {"level": "error"}) is Role.ERRORS
    assert role_of("log_template_lines_total", {"level": "critical"}) is Role.ERRORS
    assert role_of("log_template_lines_total", {"level": "info"}) is Role.CONTEXT
    assert role_of("change_events_total", {"kind": "deployment"}) is Role.CONTEXT
    assert family_of("log_errors_total") == family_of("log_template_lines_total")


def feed(book, begin, ticks, rng, words=("order {n} paid", "cart {n} opened", "user {u} seen")):
    """Lines of so many intervals; all ticks that came."""
    found = []
    for tick in range(ticks):
        at = begin + tick * 15.0
        texts = [rng.choice(words).format(n=rng.randrange(1000), u=rng.choice(("ann", "bob"))) for _ in range(20)]
        found += book.take([LogLine(at + rng.random() * 15, SHOP, "info", text) for text in texts], at + 15)[1]
    return found


def test_a_saved_state_goes_on_as_if_there_had_been_no_restart():
    rng = random.Random(5)
    words = [f"{a} {{n}} {b} {{u}}" for a in ("alpha", "beta", "gamma7") for b in ("sent", "lost", "kept")]
    settings = LogSettings(max_templates=10)
    book = LogBook(settings)
    feed(book, START, 50, rng, words + [f"word {chr(97 + n)}{chr(98 + n)} zz" for n in range(20)])
    again = LogBook(settings)
    again.restore(book.dump())
    for one in (book, again):
        one.seen = feed(one, START + 750, 100, random.Random(6), words)
    assert [(t.batch.series, t.batch.values.tolist(), t.signals) for t in book.seen] == [
        (t.batch.series, t.batch.values.tolist(), t.signals) for t in again.seen
    ]
    assert again.dump() == book.dump()


@pytest.mark.parametrize("state", [b"", b"{}", b"\x80\x04", b'{"version": 0}', b'{"version": 1}', b"[]"])
def test_a_state_that_is_none_is_refused(state):
    book = LogBook(LogSettings())
    with pytest.raises(ValueError, match=r"\S"):
        book.restore(state)
    assert book.services == {}


def errors(book, at, text, count):
    lines = [LogLine(at + place, SHOP, "error", text) for place in range(count)]
    ticks = book.take(lines, at + count)[1] + book.tick(at + 200)
    return [signal for tick in ticks for signal in tick.signals]


@pytest.mark.parametrize(("hours", "severities"), [(0.5, []), (1.1, []), (2.0, ["info"]), (6.0, ["warning"])], ids=str)
def test_a_new_error_speaks_the_louder_the_longer_there_was_none(hours, severities):
    book = LogBook(LogSettings(interval="60s"))
    for minute in range(round(hours * 60)):
        book.take([LogLine(START + minute * 60, SHOP, "info", "alive")], START + minute * 60)
    at = START + hours * 3600
    assert errors(book, at, "disk sda failed", 2) == []
    assert [signal.severity for signal in errors(book, at + 90, "disk sda failed", 2)] == severities


def test_a_service_that_often_brings_new_errors_gives_no_signals():
    book = LogBook(LogSettings(interval="60s"))
    loud = []
    for minute in range(24 * 60):
        at = START + minute * 60
        word = "".join(chr(97 + int(digit)) * 3 for digit in str(minute))
        lines = [LogLine(at, SHOP, "error", f"{word} failed {word}")] * (4 if minute % 30 == 0 else 0)
        ticks = book.take([LogLine(at, SHOP, "info", "alive"), *lines], at)[1]
        loud += [signal for tick in ticks for signal in tick.signals if signal.severity == "warning"]
    assert loud == []


def test_lines_of_the_past_and_gaps():
    book = LogBook(LogSettings())
    ticks = feed(book, START, 10, random.Random(1))
    assert [tick.batch.at for tick in ticks] == [START + 15.0 * n for n in range(1, 10)]
    taken, ticks = book.take([LogLine(START - 600, SHOP, "error", "old")], START + 150)
    assert (taken.late, ticks) == (1, [])
    later = START + 7200
    _, ticks = book.take([LogLine(later, SHOP, "info", "back")], later)
    assert len(ticks) == 1, "hours without lines are no hours of silence to the detector"
    values = dict(zip((str(s) for s in ticks[0].batch.series), ticks[0].batch.values, strict=True))
    assert all(value == 0 for series, value in values.items() if "log_errors_total" in series)
