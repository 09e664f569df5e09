"""An installation on both databases, whose front depends on two databases, and alerts of it."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from models.domain.base import Severity
from models.domain.signal import Signal, SignalKind
from service.parts import Parts


@pytest.fixture
def parts(build: Callable[..., Parts], tmp_path: Any) -> Parts:
    """The front depends on two databases."""
    topology = tmp_path / "topology.yaml"
    topology.write_text("services: {shop: {depends_on: [orders-db, stock-db]}, orders-db: {}, stock-db: {}, mail: {}}")
    return build(topology=topology)


@pytest.fixture
def alert(clock: Callable[[], datetime]) -> Callable[..., Signal]:
    def made(service: str = "shop", name: str = "Down", status: Any = "firing", **labels: str) -> Signal:
        return Signal(
            kind=SignalKind.ALERT, name=name, at=clock(), status=status, severity=Severity.CRITICAL,
            labels={"service": service, **labels},
        )  # fmt: skip

    return made
