from __future__ import annotations

import textwrap
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from models.domain.incident import Culprit, Incident
from models.domain.signal import Anomaly, Signal
from runbooks.binding import VerbInputs
from service.executors import (
    ansible,
    aws_lambda_verbs,
    certificate,
    http,
    kubernetes_verbs,
    process,
    script,
    sql,
    traffic,
)

NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)

GOOD = """\
---
id: restart-it
title: It is down
services: ["shop", "*-db"]
triggers:
  - signal.kind == "anomaly" && signal.metric == "up" && signal.direction == "down"
parameters:
  service: {type: string, from: incident.service, pattern: "^[a-z-]+$"}
  process: {type: string, from: incident.labels.process, pattern: "^[a-z0-9_-]{1,63}$"}
diagnose:
  - {query: 'up{process="{{ process }}"}', is: "== 0", supports: restart}
actions:
  - id: restart
    title: Restart it
    uses: process/restart
    with: {name: "{{ process }}"}
    reversible: true
    preconditions:
      - {query: 'up{process="{{ process }}"}', is: "== 0"}
    verify:
      - {query: 'up{service="{{ service }}",process="{{ process }}"}', is: "== 1", within: 60s, hold: 5s}
    rollback: {uses: process/stop, with: {name: "{{ process }}"}}
---
# It is down
## Symptoms
## Diagnosis
## Mitigation
## Escalation
"""


@pytest.fixture
def good() -> str:
    """A runbook that lints clean."""
    return GOOD


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    """Write a file below the test's folder and return its path."""

    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else textwrap.dedent(content).encode())
        return path

    return write


@pytest.fixture(scope="session")
def catalogue() -> dict[str, VerbInputs]:
    """The built-in verbs with their typed inputs; a target is the executor's name and the first argument."""
    return {
        f"{name}/{verb}": VerbInputs(
            declared.inputs, lambda arguments, name=name: f"{name}:{next(iter(arguments.values()))}"
        )
        for name, verbs in (
            ("process", process.VERBS),
            ("script", script.VERBS),
            ("http", http.VERBS),
            ("traffic", traffic.VERBS),
            ("certificate", certificate.VERBS),
            ("kubernetes", kubernetes_verbs.VERBS),
            ("sql", sql.VERBS),
            ("ansible", ansible.VERBS),
            ("lambda", aws_lambda_verbs.VERBS),
        )
        for verb, declared in verbs.items()
    }


@pytest.fixture
def anomaly() -> Callable[..., Signal]:
    """A signal of an anomaly of one metric."""

    def anomaly(metric: str, direction: str, value: float, **labels: str) -> Signal:
        found = Anomaly(
            labels={"__name__": metric, **labels},
            at=NOW,
            score=0.99,
            p_value=0.001,
            observed=value,
            expected=1.0,
            lower=0.9,
            upper=1.1,
            direction=direction,
        )
        return Signal(kind="anomaly", name=f"{metric} {direction}", at=NOW, metric=metric, labels=labels, anomaly=found)

    return anomaly


@pytest.fixture
def incident() -> Callable[..., Incident]:
    """An incident; its culprit is the first service unless given."""

    def incident(services: tuple[str, ...], labels: dict[str, str], *signals: Signal, **changes: Any) -> Incident:
        culprits = (Culprit(service=services[0], probability=0.9),) if services else ()
        given: dict[str, Any] = {"culprits": culprits, "title": "it broke", "environment": "sandbox", **changes}
        times = {"started_at": NOW, "detected_at": NOW, "updated_at": NOW}
        return Incident(id="INC-1", services=services, labels=labels, signals=signals, **times, **given)

    return incident
