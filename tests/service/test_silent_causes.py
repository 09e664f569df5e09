"""A dependency that is down and of which no signal came: measured, and named as the origin."""

import re
from datetime import UTC, datetime

import pytest

from models.domain.errors import Unavailable
from models.domain.incident import Incident
from models.domain.signal import Sample, Signal, SignalKind
from models.domain.topology import Service, Topology
from models.localisation import localise
from service.silent_causes import silent_causes

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
TOPOLOGY = Topology(services={"proxy": Service(depends_on=("shop",)), "shop": Service(depends_on=("orders-db",))})


class Series:
    """Answers as the embedded source does, from a few series."""

    def __init__(self, **values):
        self.series = [({"__name__": name, "service": "orders-db"}, value) for name, value in values.items()]

    def query(self, expression, at):
        return [
            Sample(labels=labels, at=at, value=value)
            for labels, value in self.series
            if "orders" in expression and value == 0
        ]


def incident(*services):
    signals = tuple(
        Signal(kind=SignalKind.ALERT, name="CheckoutsFailing", at=NOW, labels={"service": one}) for one in services
    )
    return Incident(id="INC-1", title="t", signals=signals, started_at=NOW, detected_at=NOW, updated_at=NOW)


def test_a_dependency_that_is_down_is_the_origin_though_it_did_not_speak():
    measured = silent_causes(incident("shop"), TOPOLOGY, Series(pg_up=0, up=1), NOW)
    first, second = localise(incident("shop"), TOPOLOGY, measured)
    assert (first.service, first.metric, second.service) == ("orders-db", "pg_up", "shop")
    assert first.probability > 0.9
    assert second.reason.endswith("explained by orders-db, on which it depends")


def test_what_is_no_state_does_not_speak():
    assert silent_causes(incident("shop"), TOPOLOGY, Series(pg_up=1, pg_connections=0), NOW) == {}


def test_only_what_the_speaking_ones_depend_on_is_asked():
    asked = []

    class Listening(Series):
        def query(self, expression, at):
            asked.append(expression)
            return []

    silent_causes(incident("orders-db"), TOPOLOGY, Listening(), NOW)
    assert asked == []
    silent_causes(incident("proxy"), TOPOLOGY, Listening(), NOW)
    assert [re.sub(r"\\\\", "", one).split('"')[1] for one in asked] == ["shop|orders-db"]


def test_a_signal_of_its_own_weighs_more_than_what_was_measured():
    own = localise(incident("shop", "orders-db"), TOPOLOGY)
    measured = silent_causes(incident("shop"), TOPOLOGY, Series(pg_up=0), NOW)
    assert localise(incident("shop", "orders-db"), TOPOLOGY, measured) == own


@pytest.mark.parametrize("incident_of", [(), ("shop",)])
def test_without_an_answer_the_signals_alone_count(incident_of):
    class Silent(Series):
        def query(self, expression, at):
            raise Unavailable("it does not answer")

    assert silent_causes(incident(*incident_of), TOPOLOGY, Silent(), NOW) == {}
    assert silent_causes(incident(*incident_of), TOPOLOGY, None, NOW) == {}
