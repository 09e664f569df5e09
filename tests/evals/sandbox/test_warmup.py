"""When the next fault may be played."""

import pytest

from evals.sandbox import warmup
from models.domain.errors import Conflict, Unavailable
from tests.evals.sandbox.recorded import RecordedService


class Healthy:
    def serving(self):
        return True


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    monkeypatch.setattr(warmup, "SETTLE_SECONDS", 0.5)
    monkeypatch.setattr(warmup.time, "sleep", lambda _: None)


@pytest.mark.parametrize("status", ["escalated", "awaiting_approval"])
def test_what_waits_for_a_person_is_resolved_before_the_next_fault(status):
    service = RecordedService()
    service.opens(status, "a person must act")
    service.on_post = lambda path: service.opens("resolved", path)
    warmup.settle(service, Healthy())
    assert [path for path, _ in service.posted] == ["/v1/incidents/INC-1/resolve"]


def test_an_incident_that_ends_in_that_moment_is_no_failure():
    service = RecordedService()
    service.opens("awaiting_approval", "a person must decide")

    def ended(path):
        service.opens("resolved", path)
        raise Conflict(path)

    service.on_post = ended
    warmup.settle(service, Healthy())


def test_what_is_being_worked_on_is_left_alone_and_named():
    service = RecordedService()
    service.opens("mitigating", "Suture acts")
    with pytest.raises(Unavailable, match=r"INC-1 \(shop is down\) is mitigating"):
        warmup.settle(service, Healthy())
    assert service.posted == []
