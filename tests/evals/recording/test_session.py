"""How one variant is played: on a service that answers what a test wrote down, and a fault that breaks nothing."""

from datetime import timedelta
from random import Random
from threading import Event

import numpy as np
import pytest

from evals.incidents.format import LabelledIncident
from evals.recording import session as playing
from evals.recording.neighbour import Neighbour
from evals.recording.noise import Scene
from evals.recording.plan import Session, Variant
from evals.recording.session import NotRecorded, Stage, Stopped
from evals.recording.subjects import SUBJECTS, Subject
from evals.sandbox.fault import Fault, Remedy
from evals.sandbox.layout import Layout
from evals.sandbox.load import Load, read_load
from models.correlation import correlate
from models.correlation.signals import signal_of
from models.detection.batch import Batch
from models.domain.base import utc_now
from models.domain.errors import NotFound
from models.domain.incident import IncidentStatus, TimelineEntry
from models.domain.recommendation import Abstention, Recommendation
from models.domain.signal import Anomaly, Signal
from models.domain.topology import Topology
from service.store.samples import SampleStore

LOAD = Load(31.0, 0.25)


class Service:
    """Has an incident from the moment on at which `opens` was called; keeps what was posted."""

    def __init__(self, folder):
        self.state_dir = folder
        self.posted = []
        self.incident = self.made = None
        self._ticks = 0.0

    def opens(self, signal):
        now = utc_now()
        [one] = correlate([signal], [], [], Topology(), now=now, window=timedelta(seconds=60)).opened
        looked = TimelineEntry(at=now, kind="investigating", text="looking")
        self.incident = one.model_copy(
            update={"id": "INC-1", "status": IncidentStatus.ESCALATED, "timeline": (*one.timeline, looked)}
        )
        self.made = Recommendation(
            id="REC-1-1", incident="INC-1", created_at=utc_now(), abstained=Abstention(reason="people act")
        )
        store = SampleStore(
            f"sqlite:///{self.state_dir / 'samples.db'}", retention=timedelta(hours=1), max_series=9, clock=utc_now
        )
        for second in (-2, 60):
            at = self.made.created_at.timestamp() + second
            store.append(Batch(at=at, series=({"__name__": "up"},), values=np.array([1.0])))
        store.close()

    def metrics(self):
        self._ticks += 5.0
        return {"suture_samples_total": self._ticks * 7, "suture_series": 7.0}

    def get(self, path, **_parameters):
        if path == "/v1/incidents":
            return {"items": [self.incident.model_dump(mode="json")] if self.incident else []}
        if path.endswith("/recommendation"):
            if self.made is None:
                raise NotFound(path)
            return self.made.model_dump(mode="json")
        return self.incident.model_dump(mode="json")

    def post(self, path, body):
        self.posted.append((path, body))
        if path == "/v1/signals":
            given = {"at": utc_now(), **body["signals"][0]}
            self.opens(Signal(**given))
        if path.endswith("/close"):
            self.incident = self.incident.model_copy(update={"status": IncidentStatus.CLOSED, "ended_at": utc_now()})


class Sandbox:
    def __init__(self, folder):
        self.layout = Layout.create(folder / "s")

    def serving(self):
        return True


class Broken(Fault):
    """Breaks nothing, and says what was asked of it."""

    name, title, how, service, process = "kill_service", "The shop is killed", "SIGKILL", "shop", "shop"
    cures = ("process/restart",)
    remedy = Remedy("service-down", "restart-process", "It was restarted.")
    shows = True

    def vary(self, random):
        return {"at_random": random.randint(1, 9)}

    def prepare(self):
        self.done.append("prepared")

    def inject(self):
        self.done.append(f"broken with {self.usual.rate:g} customers a second")
        if self.shows and self.alert is None:
            self.seen_by.opens(departs("up", "shop"))

    def alerting(self):
        return self.shows

    def repaired(self):
        return True

    def heal(self):
        self.done.append("mended")

    def _break(self, pid):
        raise NotImplementedError


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """Plays a subject; the service, and what was done to the fault in order."""
    monkeypatch.setattr(playing, "DETECT_SECONDS", 0.2)
    monkeypatch.setattr("evals.sandbox.fault.HOLDS_SECONDS", 0.0)
    monkeypatch.setattr(playing, "_POLL", 0.01)
    service, sandbox, done, stop = Service(tmp_path), Sandbox(tmp_path), [], Event()

    def play(subject=None, noise="", **changes):
        broken = type("Broken", (Broken,), {"done": done, "seen_by": service, **changes})
        variant = Variant(1, 4, subject or Subject("kill_service", broken), noise, 0.0)
        session = Session("0-1", LOAD, 0, (variant,))
        scene = Scene(sandbox, Neighbour(Random(1)), LOAD)
        row = Stage(session, sandbox, service, scene, stop).play(variant)
        assert read_load(sandbox.layout.load_file) == LOAD
        return row

    play.service, play.done, play.stop, play.sandbox = service, done, stop, sandbox
    return play


def departs(metric, service):
    labels = {"__name__": metric, "service": service, "process": service, "environment": "sandbox"}
    found = Anomaly(
        labels=labels, at=utc_now(), score=0.999, p_value=1e-30, observed=0.0, expected=1.0, lower=0.9, upper=1.1,
        direction="down",
    )  # fmt: skip
    return signal_of(found)


def test_what_was_seen_is_written_with_the_truth_and_all_is_mended_by_hand(stage):
    row = stage()
    read = LabelledIncident.model_validate(row)
    assert (read.title, read.gold.action, read.id) == ("shop: up down", "restart-process", "sandbox-1-004")
    assert [len(series.at) for series in read.telemetry.series] == [1], "nothing from after the recommendation"
    assert row["variant"]["strength"] == {
        "at_random": Variant(1, 4, SUBJECTS["overload"], "", 0).random().randint(1, 9)
    }
    assert stage.done == ["prepared", "broken with 31 customers a second", "mended"]
    assert stage.service.posted == [("/v1/incidents/INC-1/close", {"reason": "recorded"})]


def test_a_wave_of_customers_is_over_when_the_next_variant_begins(stage):
    assert 1.2 <= stage(noise="traffic_wave")["variant"]["noise_strength"]["customers"] <= 1.5


def test_a_fault_that_nobody_sees_is_mended_all_the_same(stage):
    with pytest.raises(NotRecorded, match="nothing was recommended within"):
        stage(shows=False)
    assert stage.done[-1] == "mended"


def test_where_a_rule_of_the_monitoring_tells_of_it_its_alert_is_sent_once_it_holds(stage):
    row = stage(alert="CheckoutsFailing", process="postgres", alert_from="shop", service="orders-db")
    assert row["title"] == "shop: CheckoutsFailing"
    assert row["gold"]["culprit"] == "orders-db"
    assert stage.service.posted[0][1]["signals"][0]["labels"]["process"] == "shop"
    stage.service.incident = None
    with pytest.raises(NotRecorded, match="the rule of CheckoutsFailing did not hold"):
        stage(alert="CheckoutsFailing", alert_from="shop", shows=False)


def test_an_alarm_about_nothing_breaks_nothing(stage):
    row = stage(SUBJECTS["foreign_alert"])
    assert row["gold"] is None
    assert row["variant"]["alert"] in row["title"]
    assert stage.done == []


def test_whoever_stops_it_does_not_wait(stage):
    stage.stop.set()
    with pytest.raises(Stopped):
        stage()
