"""The sample store, on SQLite and on PostgreSQL."""

from __future__ import annotations

import math
import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import sqlalchemy as sa

from models.detection.batch import Batch
from models.domain.errors import BadInput, Unavailable
from service.store.samples import SampleStore

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path, new_postgres_database):
    return f"sqlite:///{tmp_path}/new/samples.db" if request.param == "sqlite" else new_postgres_database()


@pytest.fixture
def open_store(url):
    opened = []

    def opener(**options) -> SampleStore:
        options = {"retention": timedelta(hours=1), "max_series": 100, "clock": Clock(), **options}
        store = SampleStore(url, **options)
        opened.append(store)
        return store

    yield opener
    for store in opened:
        store.close()


def tick(at: datetime, values: dict[str, float], metric: str = "load") -> Batch:
    series = tuple({"__name__": metric, "host": host} for host in values)
    return Batch(at.timestamp(), series, np.array(list(values.values()), dtype=np.float64))


def read(store, start=NOW - timedelta(days=1), end=NOW + timedelta(days=1), metric=None, **labels):
    """{host: [(seconds after NOW, value), …]} of the series that have these labels."""
    found = store.select(lambda all_: labels.items() <= all_.items(), start, end, metric)
    return {
        labels["host"]: [(round(at - NOW.timestamp(), 3), value) for at, value in points] for labels, points in found
    }


def test_samples_come_back_in_time_order_with_both_ends(open_store):
    store = open_store()
    for second in (30, 10, 20, 0):
        assert store.append(tick(NOW + timedelta(seconds=second), {"a": second, "b": -second})) == 0
    found = read(store, NOW + timedelta(seconds=10), NOW + timedelta(seconds=20))
    assert found == {"a": [(10, 10.0), (20, 20.0)], "b": [(10, -10.0), (20, -20.0)]}


def test_a_metric_and_a_predicate_narrow_the_search(open_store):
    store = open_store()
    store.append(tick(NOW, {"a": 1, "b": 2}))
    store.append(tick(NOW, {"a": 3}, metric="heat"))
    assert read(store, metric="heat") == {"a": [(0, 3.0)]}
    assert read(store, metric="load", host="b") == {"b": [(0, 2.0)]}
    assert read(store, metric="nothing") == {}
    asked = []
    list(store.select(lambda labels: bool(asked.append(labels)), NOW, NOW, "heat"))
    assert asked == [{"__name__": "heat", "host": "a"}]


def test_nan_is_no_sample_and_infinities_are_kept(open_store):
    store = open_store()
    store.append(tick(NOW, {"none": math.nan, "up": math.inf, "down": -math.inf, "tiny": 5e-324}))
    assert read(store) == {"up": [(0, math.inf)], "down": [(0, -math.inf)], "tiny": [(0, 5e-324)]}
    assert store.series_count() == 3


def test_the_last_write_wins(open_store):
    store = open_store()
    store.append(tick(NOW, {"a": 1}))
    store.append(tick(NOW, {"a": 2}))
    same = {"__name__": "load", "host": "a"}
    store.append(Batch(NOW.timestamp() + 1, (same, same), np.array([3.0, 4.0])))
    assert read(store) == {"a": [(0, 2.0), (1, 4.0)]}


def test_times_are_kept_to_the_millisecond(open_store):
    store = open_store()
    at = NOW + timedelta(milliseconds=123, microseconds=400)
    store.append(tick(at, {"a": 1}))
    assert read(store, at, at) == {"a": [(0.123, 1.0)]}


def test_series_beyond_the_cap_are_refused_and_counted(open_store):
    store = open_store(max_series=3)
    assert store.append(tick(NOW, {"a": 1, "b": 2})) == 0
    assert store.append(tick(NOW + timedelta(seconds=1), {"a": 3, "c": 4, "d": 5, "e": 6})) == 2
    assert store.append(tick(NOW + timedelta(seconds=2), {"e": 7})) == 1
    assert store.refused == 3
    assert store.series_count() == 3
    assert read(store) == {"a": [(0, 1.0), (1, 3.0)], "b": [(0, 2.0)], "c": [(1, 4.0)]}


def test_pruning_removes_old_samples_and_then_empty_series(open_store):
    clock = Clock()
    store = open_store(clock=clock, max_series=2)
    store.append(tick(NOW, {"old": 1, "kept": 2}))
    store.append(tick(NOW + timedelta(minutes=30), {"kept": 3}))
    clock.now = NOW + timedelta(minutes=61)
    assert store.prune() == 2
    assert read(store) == {"kept": [(1800, 3.0)]}
    assert store.series_count() == 1
    assert store.append(tick(clock.now, {"new": 4})) == 0, "the cap has room again"


def test_retention_holds_without_anybody_calling_prune(open_store):
    clock = Clock()
    store = open_store(clock=clock)
    for minute in range(0, 180, 5):
        clock.now = NOW + timedelta(minutes=minute)
        store.append(tick(clock.now, {"a": minute, f"short-lived-{minute}": 1}))
    assert min(at for at, _ in read(store)["a"]) >= (175 - 65) * 60
    assert store.series_count() <= 15


def test_a_series_removed_by_another_store_is_made_anew(open_store):
    clock = Clock()
    one, other = open_store(clock=clock), open_store(clock=clock)
    one.append(tick(NOW, {"a": 1, "b": 2}))
    assert read(other) == {"a": [(0, 1.0)], "b": [(0, 2.0)]}
    clock.now = NOW + timedelta(hours=2)
    other.prune()
    other.append(tick(clock.now, {"z": 9}))
    one.append(tick(clock.now, {"a": 3}))
    fresh = open_store(clock=clock)
    assert read(fresh) == read(other) == read(one) == {"a": [(7200, 3.0)], "z": [(7200, 9.0)]}


def test_samples_are_there_after_reopening(open_store):
    first = open_store()
    first.append(tick(NOW, {"a": 1}))
    first.close()
    assert read(open_store()) == {"a": [(0, 1.0)]}


def test_another_layout_is_dropped_and_made_anew(open_store, url):
    store = open_store()
    store.append(tick(NOW, {"a": 1}))
    store.close()
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE telemetry_meta SET version = 0"))
    engine.dispose()
    reopened = open_store()
    assert read(reopened) == {}
    reopened.append(tick(NOW, {"a": 2}))
    assert read(reopened) == {"a": [(0, 2.0)]}


def test_labels_of_any_text_come_back_unchanged(open_store):
    store = open_store()
    labels = {"__name__": "load", "host": "a", "path": '/"\\\n é 漢 \x00 🩹'}
    store.append(Batch(NOW.timestamp(), (labels,), np.array([1.0])))
    assert [found for found, _ in store.select(lambda _: True, NOW, NOW)] == [labels]


def test_threads_share_a_store(open_store):
    store = open_store()

    def work(name: str) -> None:
        for second in range(20):
            store.append(tick(NOW + timedelta(seconds=second), {name: second, f"{name}-{second % 5}": 1}))
            assert len(read(store, host=name)[name]) == second + 1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, "abcd"))
    assert store.series_count() == 24


def write_and_read(url: str, name: str, other: str, ready: object) -> None:
    """One of two processes: writes its own series, and reads the other's until it has seen all of it."""
    store = SampleStore(url, retention=timedelta(hours=1), max_series=100, clock=lambda: NOW)
    ready.wait(30)
    for second in range(50):
        store.append(tick(NOW + timedelta(seconds=second), {name: second, f"{name}-{second % 7}": 1}))
        seen = read(store, host=other).get(other, [])
        assert [value for _, value in seen] == list(range(len(seen)))
    store.close()


def test_two_processes_write_and_read_at_once(url, open_store):
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(2)
    processes = [
        context.Process(target=write_and_read, args=(url, *names, ready)) for names in (("a", "b"), ("b", "a"))
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    store = open_store()
    found = read(store)
    assert len(found) == 16
    assert found["a"] == found["b"] == [(second, float(second)) for second in range(50)]


@pytest.mark.parametrize("wrong", ["not a url", "mysql://host/db", "sqlite://", "sqlite:///:memory:"])
def test_a_url_that_cannot_be_used_is_refused(wrong):
    with pytest.raises(BadInput, match=r"write sqlite:///FILE or postgresql://"):
        SampleStore(wrong, retention=timedelta(hours=1), max_series=1, clock=Clock())


def test_a_database_that_does_not_answer_is_unavailable(tmp_path):
    with pytest.raises(Unavailable, match="sample store does not answer"):
        SampleStore(f"postgresql:///none?host={tmp_path}", retention=timedelta(hours=1), max_series=1, clock=Clock())


def test_after_a_failed_write_the_store_goes_on(tmp_path):
    file = tmp_path / "samples.db"
    store = SampleStore(f"sqlite:///{file}", retention=timedelta(hours=1), max_series=9, clock=Clock())
    engine = sa.create_engine(f"sqlite:///{file}")
    refuse = "CREATE TRIGGER refuse BEFORE INSERT ON telemetry_samples BEGIN SELECT RAISE(ABORT, 'disk full'); END"
    with engine.begin() as connection:
        connection.execute(sa.text(refuse))
    with pytest.raises(sa.exc.IntegrityError):
        store.append(tick(NOW, {"a": 1}))
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TRIGGER refuse"))
    store.append(tick(NOW, {"b": 1}))
    store.append(tick(NOW, {"a": 2}))
    assert read(store) == {"a": [(0, 2.0)], "b": [(0, 1.0)]}
    store.close()
