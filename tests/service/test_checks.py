import math
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from models.domain.errors import BadInput, Unavailable
from models.domain.execution import Health
from models.domain.runbook import Check
from models.domain.signal import Sample
from service.checks import Comparison, measure, verify

START = datetime(2026, 3, 1, tzinfo=UTC)
BOOTED = 54321.987654321
"""Where the monotonic clock stands at the start: as on a real machine, no round number."""


class World:
    """Clocks that only `sleep` moves, and a source that answers by script: expression and second in, values out.

    Seconds are those that truly passed; the wall clock may be set to anything by `step`.
    """

    name = "scripted"

    def __init__(self, script: Callable[[str, float], list[float] | Exception]) -> None:
        self.passed = timedelta(0)
        self.step = timedelta(0)
        self.script = script

    def clock(self) -> datetime:
        return START + self.passed + self.step

    def monotonic(self) -> float:
        return BOOTED + self.passed.total_seconds()

    def sleep(self, seconds: float) -> None:
        self.passed += timedelta(seconds=seconds)

    def query(self, expression: str, at: datetime) -> list[Sample]:
        answer = self.script(expression, self.passed.total_seconds())
        if isinstance(answer, Exception):
            raise answer
        return [
            Sample(labels={"__name__": "up", "process": f"p{n}"}, at=at, value=value) for n, value in enumerate(answer)
        ]

    def healthy(self) -> bool:
        return True

    def verify(self, *checks: Check, interval: float = 1.0):
        every = timedelta(seconds=interval)
        return verify(checks, self, clock=self.clock, sleep=self.sleep, monotonic=self.monotonic, interval=every)


def check(condition: str = "== 1", within: float = 0, hold: float = 0, query: str = "up") -> Check:
    return Check(query=query, condition=condition, within=timedelta(seconds=within), hold=timedelta(seconds=hold))


def timeline(text: str) -> Callable[[str, float], list[float] | Exception]:
    """`1` true, `0` false, `?` unavailable, a character a second; the last one stays."""

    def script(_: str, second: float) -> list[float] | Exception:
        state = text[min(int(second), len(text) - 1)]
        return Unavailable("no answer") if state == "?" else [float(state)]

    return script


class TestMeasure:
    @pytest.mark.parametrize(
        ("condition", "values", "passed"),
        [
            ("== 1", [1.0, 1.0], True),
            ("== 1", [1.0, 0.0], False),
            ("!= 0", [math.nan], False),
            ("> 0.95", [0.96], True),
            (">=1e3", [1000.0], True),
            ("< -2", [-2.0], False),
            ("<= 2", [2.0], True),
            ("> 5", [math.inf], True),
            ("== 1", [], False),
        ],
    )
    def test_every_value_must_satisfy_and_there_must_be_one(self, condition, values, passed):
        world = World(lambda *_: values)
        result = measure(check(condition), world, clock=world.clock)
        assert result.passed is passed
        assert (result.subject, result.condition, result.at) == ("up", condition, START)

    def test_the_reason_is_in_the_detail(self):
        def detail(answer) -> str:
            world = World(lambda *_: answer)
            return measure(check(), world, clock=world.clock).detail

        assert detail([]) == "no data"
        assert detail([1.0, 0.0, 1.0]) == '0 for up{process="p1"}; 1 of 3 fail'
        assert detail([math.nan]) == 'nan for up{process="p0"}'
        assert detail(Unavailable("prometheus does not answer")) == "prometheus does not answer"
        assert detail(BadInput("no function holt_winters")) == "no function holt_winters"

    @pytest.mark.parametrize("error", [Unavailable("gone"), BadInput("wrong")])
    def test_what_cannot_be_asked_is_not_known(self, error):
        world = World(lambda *_: error)
        assert measure(check(), world, clock=world.clock).passed is None

    def test_an_error_that_is_nobodys_answer_is_not_hidden(self):
        world = World(lambda *_: ZeroDivisionError())
        with pytest.raises(ZeroDivisionError):
            measure(check(), world, clock=world.clock)

    def test_a_result_can_be_stored_whatever_the_values(self):
        world = World(lambda *_: [math.nan, math.inf, *range(1000)])
        result = measure(check(), world, clock=world.clock)
        assert type(result).model_validate_json(result.model_dump_json()) == result
        assert len(result.values) == 20

    def test_http_asks_for_the_status(self, loopback):
        world = World(lambda *_: [])
        good = Check(http=f"{loopback.url}/healthz", condition="== 200")
        assert measure(good, world, clock=world.clock).passed is True
        loopback.answer = lambda _: loopback.Answer(302, headers={"Location": loopback.url})
        moved = measure(good, world, clock=world.clock)
        assert (moved.passed, moved.values) == (False, (302.0,))
        assert len(loopback.received) == 2
        loopback.answer = lambda _: None
        assert measure(good, world, clock=world.clock).passed is None
        wrong = measure(Check(http="file:///etc/passwd", condition="== 200"), world, clock=world.clock)
        assert wrong.passed is None
        assert "not an http address" in wrong.detail

    def test_sql_asks_the_reader_for_the_statement_that_is_named(self):
        world = World(lambda *_: ZeroDivisionError())
        result = measure(SQL, world, clock=world.clock, sql=Reader([3.0, 7.0]))
        assert (result.passed, result.values, result.at) == (False, (3.0, 7.0), START)
        assert (result.subject, result.detail) == ("orders/stuck-jobs", '7 for {queue="q1"}; 1 of 2 fail')
        nothing = measure(SQL, world, clock=world.clock, sql=Reader([]))
        assert (nothing.passed, nothing.detail) == (False, "no data")

    @pytest.mark.parametrize("error", [Unavailable("orders does not answer"), BadInput("no such statement")])
    def test_sql_that_cannot_be_asked_is_not_known(self, error):
        world = World(lambda *_: [])
        result = measure(SQL, world, clock=world.clock, sql=Reader(error))
        assert (result.passed, result.detail) == (None, str(error))
        without = measure(SQL, world, clock=world.clock)
        assert without.passed is None
        assert "executors.sql" in without.detail


SQL = Check(sql="orders/stuck-jobs", condition="< 5")


class Reader:
    """Stands for a database that holds one statement."""

    def __init__(self, answer: list[float] | Exception) -> None:
        self.answer = answer

    def read(self, name: str, at: datetime, seconds: float = 5.0) -> list[Sample]:
        assert name == "orders/stuck-jobs"
        if isinstance(self.answer, Exception):
            raise self.answer
        return [Sample(labels={"queue": f"q{n}"}, at=at, value=value) for n, value in enumerate(self.answer)]


@pytest.mark.parametrize("text", ["", "=1", "== one", "== 1 2", "1 ==", "=> 1"])
def test_a_comparison_that_is_none_is_explained(text):
    with pytest.raises(BadInput, match=r"write for example == 1 or > 0\.95"):
        Comparison.parse(text)


class TestVerify:
    @pytest.mark.parametrize(
        ("states", "within", "hold", "health", "took"),
        [
            ("1", 0, 0, Health.HEALTHY, 0),
            ("0", 0, 0, Health.NOT_HEALTHY, 0),
            ("?", 0, 0, Health.UNKNOWN, 0),
            ("0001", 10, 5, Health.HEALTHY, 8),
            ("0", 10, 5, Health.NOT_HEALTHY, 10),
            ("?", 10, 5, Health.UNKNOWN, 10),
            ("0011101", 10, 5, Health.HEALTHY, 11),  # a flap while there is time starts the hold anew
            ("00000001110", 8, 5, Health.NOT_HEALTHY, 10),  # after `within` it is the end
            ("011?1", 2, 9, Health.UNKNOWN, 3),  # a gap in the measurement is a gap
            ("011?1", 5, 9, Health.HEALTHY, 13),
            ("00001", 4, 0, Health.HEALTHY, 4),  # true at the very last instant
            ("000001", 4, 0, Health.NOT_HEALTHY, 4),
        ],
    )
    def test_within_and_hold(self, states, within, hold, health, took):
        verification = World(timeline(states)).verify(check(within=within, hold=hold))
        assert verification.health is health
        assert verification.took == timedelta(seconds=took)

    def test_all_must_hold_at_the_same_time(self):
        def script(expression: str, second: float) -> list[float]:
            return [1.0] if expression == "late" and second >= 6 else [0.0 if expression == "late" else 1.0]

        verification = World(script).verify(check(query="early", within=0, hold=2), check(query="late", within=9))
        assert verification.health is Health.HEALTHY
        assert [result.passed for result in verification.checks] == [True, True]
        assert verification.took == timedelta(seconds=6)

        def relapse(expression: str, second: float) -> list[float]:
            return [float(second < 4)] if expression == "early" else script(expression, second)

        verification = World(relapse).verify(check(query="early", within=0, hold=2), check(query="late", within=9))
        assert verification.health is Health.NOT_HEALTHY
        assert [result.passed for result in verification.checks] == [False, False]

    def test_measured_bad_weighs_more_than_not_measured(self):
        world = World(lambda expression, _: [0.0] if expression == "bad" else Unavailable("gone"))
        assert world.verify(check(query="gone"), check(query="bad")).health is Health.NOT_HEALTHY

    def test_no_check_is_no_evidence(self):
        assert World(timeline("1")).verify().health is Health.UNKNOWN

    def test_a_long_interval_does_not_stretch_within_and_hold(self):
        verification = World(timeline("0001")).verify(check(within=3, hold=4), interval=60)
        assert (verification.health, verification.took) == (Health.HEALTHY, timedelta(seconds=7))

    def test_a_slow_source_and_a_lazy_timer_end_it_all_the_same(self):
        world = World(lambda *_: [0.0])

        def slow(expression: str, second: float) -> list[float]:
            world.sleep(3)
            return [0.0]

        world.script = slow
        lazy = lambda seconds: world.sleep(seconds * 1.5)  # noqa: E731
        verification = verify([check(within=10)], world, clock=world.clock, sleep=lazy, monotonic=world.monotonic)
        assert verification.health is Health.NOT_HEALTHY
        assert verification.took < timedelta(seconds=20)

    @pytest.mark.parametrize("step", [timedelta(days=365), timedelta(hours=-1), timedelta(milliseconds=-400)])
    @pytest.mark.parametrize("when", [0, 2, 5])
    def test_a_step_of_the_wall_clock_moves_no_end(self, step, when):
        def stepped(states: str, within: float, hold: float) -> tuple[Health, timedelta]:
            world = World(timeline(states))
            script = world.script

            def stepping(expression: str, second: float) -> list[float] | Exception:
                world.step = step if second >= when else timedelta(0)
                return script(expression, second)

            world.script = stepping
            verification = world.verify(check(within=within, hold=hold))
            assert verification.checks[-1].at >= START + step  # the result tells the time of the wall
            return verification.health, verification.took

        assert stepped("0001", 10, 5) == (Health.HEALTHY, timedelta(seconds=8))
        assert stepped("0", 10, 5) == (Health.NOT_HEALTHY, timedelta(seconds=10))
        assert stepped("1", 0, 30) == (Health.HEALTHY, timedelta(seconds=30))

    def test_sql_checks_are_verified_too(self):
        world = World(timeline("1"))
        asked = Check(sql="orders/stuck-jobs", condition="< 5", hold=timedelta(seconds=2))
        verification = verify(
            [asked], world, clock=world.clock, sleep=world.sleep, monotonic=world.monotonic, sql=Reader([1.0])
        )
        assert (verification.health, verification.took) == (Health.HEALTHY, timedelta(seconds=2))

    def test_an_interval_of_0_is_refused(self):
        with pytest.raises(ValueError, match="interval"):
            World(timeline("1")).verify(check(), interval=0)


def expected(states: list[str], checks: list[tuple[int, int]]) -> tuple[Health, int]:
    """The definition, read off the whole timelines: an oracle that keeps no state from second to second."""
    for second in range(1000):
        now = [text[min(second, len(text) - 1)] for text in states]
        late = [state for state, (within, _) in zip(now, checks, strict=True) if second >= within]
        if "0" in late:
            return Health.NOT_HEALTHY, second
        if "?" in late:
            return Health.UNKNOWN, second
        if all(
            second >= hold and all(text[min(s, len(text) - 1)] == "1" for s in range(second - hold, second + 1))
            for text, (_, hold) in zip(states, checks, strict=True)
        ):
            return Health.HEALTHY, second
    raise AssertionError("never ends")


@pytest.mark.parametrize("seed", range(400))
def test_any_timeline_ends_as_the_definition_says_and_in_time(seed):
    random_ = random.Random(seed)
    checks = [(random_.randint(0, 12), random_.randint(0, 6)) for _ in range(random_.randint(1, 3))]
    weights = random_.choice([(8, 1, 1), (3, 3, 1), (20, 1, 0)])
    states = ["".join(random_.choices("10?", weights, k=25)) for _ in checks]
    world = World(lambda expression, second: timeline(states[int(expression)])(expression, second))
    asked = [check(within=w, hold=h, query=str(n)) for n, (w, h) in enumerate(checks)]
    verification = world.verify(*asked)
    assert (verification.health, verification.took.total_seconds()) == expected(states, checks)
    assert verification.took.total_seconds() <= max(w for w, _ in checks) + max(h for _, h in checks)
    assert len(verification.checks) == len(checks)
