"""An installation on both databases in which nothing runs beside the test, and a clock that moves when told."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from models.domain.base import Severity
from models.domain.signal import Signal, SignalKind
from service.parts import Parts
from tests.service.test_intake import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def parts(make_settings: Any, database_url: str, clock: Clock, tmp_path: Any) -> Iterator[Parts]:
    """The front depends on two databases."""
    from service.app import build_parts

    topology = tmp_path / "topology.yaml"
    topology.write_text("services: {shop: {depends_on: [orders-db, stock-db]}, orders-db: {}, stock-db: {}, mail: {}}")
    made = build_parts(make_settings(database_url=database_url, topology=topology), clock)
    yield made
    made.close()


@pytest.fixture
def alert(clock: Clock) -> Callable[..., Signal]:
    def made(service: str = "shop", name: str = "Down", status: Any = "firing", **labels: str) -> Signal:
        return Signal(
            kind=SignalKind.ALERT, name=name, at=clock(), status=status, severity=Severity.CRITICAL,
            labels={"service": service, **labels},
        )  # fmt: skip

    return made
