"""`suture detector` and `suture incident feedback`, on the state that a detector saved."""

import json

import numpy as np
import pytest

from models.detection.batch import Batch
from models.detection.lockstep import build
from models.domain.base import utc_now
from models.domain.signal import Anomaly
from service.store.state import DetectorStates

SERIES = {"__name__": "pg_wait_ms", "service": "orders-db"}


@pytest.fixture
def detected(installation, stored):
    """INC-1 has an anomaly, and a detector that saw its series for 40 ticks saved its state."""
    from models.correlation.signals import signal_of

    detector, random, now = build({"max_series": 1}), np.random.default_rng(1), utc_now()
    for tick in range(40):
        detector.observe(Batch(now.timestamp() + tick, (SERIES,), random.normal(100, 10, 1)))
    anomaly = Anomaly(
        labels=SERIES, at=now, score=0.9, p_value=1e-20, observed=300, expected=100, lower=60, upper=140, direction="up"
    )
    with stored() as state:
        state.incidents.change("INC-1", lambda incident: incident.model_copy(update={"signals": (signal_of(anomaly),)}))
        DetectorStates(state.database, utc_now).save("lockstep", detector.dump())
    return ("--data", str(installation))


def test_feedback_is_given_seen_and_undone(suture, detected):
    given = suture("incident", "feedback", "INC-1", "not-an-incident", "--note", "the backup", *detected)
    assert given.exit_code == 0, given.stderr
    assert "tolerance of pg_wait_ms of orders-db: 1.50" in given.stdout
    told = suture("detector", "explain", 'pg_wait_ms{service="orders-db"}', *detected)
    lines = told.stdout.splitlines()
    assert lines[0] == 'pg_wait_ms{service="orders-db"}'
    assert any(line.startswith("  expected ") for line in lines)
    assert "FBK-1 not-an-incident by cli:" in lines[-1]
    assert "on INC-1" in lines[-1]
    [as_json] = json.loads(suture("detector", "explain", "pg_wait_ms", "--json", *detected).stdout)
    assert as_json["series"]["tolerance"] == 1.5
    assert "orders-db" in suture("detector", "status", *detected).stdout
    assert suture("detector", "undo", "FBK-1", *detected).exit_code == 0
    listed = suture("detector", "feedback", *detected).stdout.splitlines()
    assert listed[1].startswith("FBK-1  INC-1")
    assert "none in force" in suture("detector", "explain", "pg_wait_ms", *detected).stdout


def test_what_is_wrong_is_named(suture, detected, installation):
    wrong = suture("incident", "feedback", "INC-1", "maybe", *detected)
    assert (wrong.exit_code, "not-an-incident" in wrong.stderr) == (2, True)
    assert suture("incident", "feedback", "INC-9", "right", *detected).exit_code == 1
    assert suture("detector", "explain", "rate(x[5m])", *detected).exit_code == 2
    missing = suture("detector", "explain", "nothing", *detected)
    assert (missing.exit_code, "holds no series" in missing.stderr) == (1, True)
    assert suture("detector", "undo", "FBK-7", *detected).exit_code == 1


def test_a_full_detector_says_so(suture, detected, monkeypatch):
    monkeypatch.setenv("SUTURE_DETECTOR", '{"name": "lockstep", "config": {"max_series": 1}}')
    told = suture("detector", "status", *detected).stdout
    assert "1 series of at most 1" in told
    assert "it is full" in told


def test_without_a_saved_state_it_says_what_is_missing(suture, installation):
    told = suture("detector", "status", "--data", str(installation))
    assert (told.exit_code, "no state of the detector 'lockstep' is saved" in told.stderr) == (1, True)
