"""A recorded incident is what was seen at the recommendation, and nothing of what came later."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from evals.incidents.format import LabelledIncident
from evals.recording.plan import Session, Variant
from evals.recording.rows import row_of
from evals.recording.seen import as_seen
from evals.recording.subjects import SUBJECTS
from evals.recording.telemetry import recorded, thinned
from evals.sandbox.config import TOPOLOGY
from evals.sandbox.load import LOADS
from models.correlation import correlate
from models.correlation.signals import signal_of
from models.detection.batch import Batch
from models.domain.base import utc_now
from models.domain.incident import IncidentStatus
from models.domain.recommendation import Abstention, Recommendation
from models.domain.signal import Anomaly
from models.domain.topology import Topology
from service.store.audit import AuditLog
from service.store.database import open_database
from service.store.incidents import Incidents
from service.store.samples import SampleStore

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TOPO = Topology.model_validate(TOPOLOGY)


def departs(metric, service, second, direction="up", value=9.0):
    labels = {"__name__": metric, "service": service, "process": service, "environment": "sandbox"}
    return signal_of(
        Anomaly(
            labels=labels,
            at=START + timedelta(seconds=second),
            score=0.999,
            p_value=1e-30,
            observed=value,
            expected=1.0,
            lower=0.9,
            upper=1.1,
            direction=direction,
        )
    )


def went_on(folder, *arrivals, investigated):
    """An incident as the store has it after these arrivals, (second, signals) in order: as `service.intake` does."""
    now, memory = START, None
    database = open_database(f"sqlite:///{folder / 'suture.db'}")
    store = Incidents(database, AuditLog(database, lambda: now), lambda: now)
    for second, signals in arrivals:
        now = START + timedelta(seconds=second)
        with database.write() as connection:
            active = store.active(connection)
            found = correlate(signals, active, [], TOPO, now=now, window=timedelta(seconds=60), memory=memory)
            memory = found.memory
            for draft in found.opened:
                store.add(connection, draft)
            for changed in found.updated:
                store.save(connection, changed)
                for entry in changed.timeline:
                    store.note(connection, changed.id, entry.kind, entry.text, entry.data)
    now = START + timedelta(seconds=investigated)
    store.transition("INC-1", IncidentStatus.INVESTIGATING, "looking")
    try:
        return store.get("INC-1")
    finally:
        database.close()


@pytest.fixture
def incident(tmp_path):
    return went_on(
        tmp_path,
        (1.3, [departs("http_request_duration_seconds_sum", "shop", 1)]),
        (2.3, [departs("http_request_duration_seconds_sum", "shop", 2, value=11.0)]),
        # Measured before the recommendation, and known only after it: its scrape took its time.
        (4.6, [departs("pg_up", "orders-db", 3, "down", 0.0)]),
        investigated=4.0,
    )


def test_signals_title_and_culprit_are_those_of_the_moment(incident):
    assert incident.title == "orders-db: pg_up down"
    seen = as_seen(incident, TOPO, START + timedelta(seconds=4))
    assert seen.title == "shop: http_request_duration_seconds_sum up"
    assert {signal.metric for signal in seen.signals} == {"http_request_duration_seconds_sum"}
    assert seen.culprits[0].service == "shop"
    assert seen.labels["process"] == "shop"
    assert as_seen(incident, TOPO, START + timedelta(seconds=9)).title == "orders-db: pg_up down"


def test_a_later_value_of_a_known_signal_is_not_seen(incident):
    early = as_seen(incident, TOPO, START + timedelta(seconds=1.5))
    assert [signal.value for signal in early.signals] == [9.0]


def test_a_row_is_valid_and_tells_of_the_fault_in_gold_and_variant_alone(incident):
    variant = Variant(1, 5, SUBJECTS["checkouts_slow_disk"], "traffic_wave", 0.0)
    made = Recommendation(
        id="REC-1-1", incident="INC-1", created_at=START + timedelta(seconds=4.2), abstained=Abstention(reason="r")
    )
    session = Session("0-1", LOADS["base"], 60, (variant,))
    row = row_of(variant, session, incident, made, TOPO, [], {"strength": {"write_seconds_at_most": 2.5}})
    read = LabelledIncident.model_validate(row)
    assert read.moment == made.created_at
    assert (read.gold.runbook, read.gold.action) == ("checkouts-slow-disk", "move-log")
    asked = read.asked()
    assert asked.signals[0].anomaly == incident.signals[0].anomaly
    told = " ".join(str(value) for name, value in row.items() if name not in ("gold", "variant"))
    assert "checkouts" not in told
    assert "slow" not in told
    assert row["variant"]["recommended"] is None


def test_what_was_recommended_on_before_the_fault_showed_is_no_row_about_it(incident):
    variant = Variant(1, 5, SUBJECTS["kill_database"], "second_departure", 0.0)
    made = Recommendation(id="REC-1-1", incident="INC-1", created_at=START + timedelta(seconds=4.2))
    session = Session("0-1", LOADS["base"], 60, (variant,))
    with pytest.raises(ValueError, match="before the fault showed"):
        row_of(variant, session, incident, made, TOPO, [], {}, lambda signal: signal.service == "orders-db")


def test_telemetry_is_thinned_with_age_and_holds_nothing_of_the_future(tmp_path):
    end = utc_now()
    store = SampleStore(
        f"sqlite:///{tmp_path / 'samples.db'}", retention=timedelta(hours=1), max_series=99, clock=lambda: end
    )
    series = ({"__name__": "moves"}, {"__name__": "stands"}, {"__name__": "scrape_samples_scraped"})
    for second in range(-300, 20):
        at = end.timestamp() + second
        store.append(Batch(at=at, series=series, values=np.array([second + 1000.123456789123, 4.0, 7.0])))
    store.close()
    rows = {row["labels"]["__name__"]: row for row in recorded(tmp_path, end)}
    assert set(rows) == {"moves", "stands"}
    ages = [round(end.timestamp() - at) for at in rows["moves"]["at"]]
    assert ages == sorted(ages, reverse=True)
    assert ages[-15:] == list(range(14, -1, -1))
    assert ages[0] <= 180
    assert len(ages) < 40
    assert rows["moves"]["values"][-1] == 1000.12346
    assert rows["stands"]["values"] == [4.0, 4.0, 4.0]
    assert [round(end.timestamp() - at) for at in rows["stands"]["at"]] == [180, 1, 0]


def test_a_short_series_is_kept_as_it_is():
    assert thinned([(1.0, 5.0), (2.0, 5.0)], 2.0) == [(1.0, 5.0), (2.0, 5.0)]
