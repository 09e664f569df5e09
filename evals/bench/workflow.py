"""A whole remediation, beside workflows of DBOS whose steps do nothing."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from evals.bench.figures import Figure
from models.detection.batch import Batch
from models.domain.base import Severity
from models.domain.incident import IncidentStatus
from models.domain.signal import Signal, SignalKind

if TYPE_CHECKING:
    from service.parts import Parts

_INCIDENTS, _EMPTY = 10, 20
_WAIT_SECONDS = 30.0

_RUNBOOK = """---
id: bench
title: Bench
triggers: ['signal.name == "Bench"']
actions:
  - id: act
    title: Run a program that does nothing
    uses: script/run
    with: {program: nothing}
    risk: low
    reversible: true
    verify: [{query: bench_healthy, is: "== 1", within: 0s, hold: 0s}]
---
# Bench
"""
_POLICY = '@id("bench") permit (principal == Autopilot::"suture", action, resource);\n'


def bench_workflow(folder: Path) -> list[Figure]:
    """Milliseconds a step, from the durable record of the workflows: both on SQLite, one after the other."""
    from service.app import build_parts

    parts = build_parts(_settings(folder))
    try:
        parts.corpus.sync()
        parts.remediation.launch()
        for number in range(_INCIDENTS):
            _remediate(parts, number)
        own = _record(folder / "state" / "workflows.db", "remediate")
    finally:
        parts.close()
    empty = _empty(folder, own.steps)
    return [
        Figure("remediation, whole", own.whole, "ms", note=f"{own.steps} steps; runs a program that does nothing"),
        Figure("  in its steps, a step", own.inside / own.steps, "ms"),
        Figure(
            "  between steps, a step",
            (own.whole - own.inside) / own.steps,
            "ms",
            (empty.whole - empty.inside) / empty.steps,
            "peer: DBOS with as many empty steps",
        ),
    ]


@dataclass(frozen=True)
class _Record:
    """The medians over workflows of one kind, in milliseconds."""

    steps: int
    whole: float
    """From the start of the first step to the end of the last."""
    inside: float
    """The steps' own time, added up."""


def _settings(folder: Path) -> Any:
    from service.settings import load_settings

    for name, file, text in (("runbooks", "bench.md", _RUNBOOK), ("policies", "bench.cedar", _POLICY)):
        (folder / name).mkdir()
        (folder / name / file).write_text(text)
    return load_settings(
        state_dir=folder / "state",
        runbooks=(folder / "runbooks",),
        policies=folder / "policies",
        mode="auto",
        autonomy={"start": "auto"},
        detector={"name": "off"},
        executors={"script": {"programs": {"nothing": {"path": shutil.which("true")}}}},
    )


def _remediate(parts: Parts, number: int) -> None:
    """One incident from its alert to its end."""
    service = f"bench-{number}"
    now = parts.clock()
    labels = {"service": service, "environment": service}
    healthy = Batch(at=now.timestamp(), series=({"__name__": "bench_healthy"},), values=np.array([1.0]))
    parts.samples.append(healthy)
    alert = Signal(kind=SignalKind.ALERT, name="Bench", at=now, labels=labels, severity=Severity.CRITICAL)
    incident = parts.intake.signals([alert])[0].incident
    assert incident is not None
    parts.remediation.start_open()
    until = time.monotonic() + _WAIT_SECONDS
    while (status := parts.incidents.get(incident).status) is not IncidentStatus.RESOLVED:
        if status is IncidentStatus.ESCALATED or time.monotonic() > until:
            raise RuntimeError(f"the bench's incident became {status}")
        time.sleep(0.02)


def _empty(folder: Path, steps: int) -> _Record:
    from dbos import DBOS, DBOSConfig

    DBOS.destroy(destroy_registry=True)
    file = folder / "empty.db"
    config: DBOSConfig = {"name": "bench", "system_database_url": f"sqlite:///{file}", "log_level": "ERROR"}
    DBOS(config=config)

    @DBOS.workflow(name="empty")
    def empty() -> None:
        for number in range(steps):
            DBOS.run_step({"name": f"step-{number}"}, lambda: None)

    DBOS.launch()
    try:
        for _ in range(_EMPTY):
            DBOS.start_workflow(empty).get_result()
        return _record(file, "empty")
    finally:
        DBOS.destroy(destroy_registry=True)


def _record(file: Path, name: str) -> _Record:
    from dbos import DBOSClient

    client = DBOSClient(system_database_url=f"sqlite:///{file}")
    try:
        workflows = client.list_workflows(name=name, status="SUCCESS")
        spans = [_spans(client.list_workflow_steps(workflow.workflow_id)) for workflow in workflows]
    finally:
        client.destroy()
    return _Record(
        steps=len(spans[0]),
        whole=median(own[-1][1] - own[0][0] for own in spans),
        inside=median(sum(end - start for start, end in own) for own in spans),
    )


def _spans(steps: Iterable[Mapping[str, Any]]) -> list[tuple[int, int]]:
    """When each step started and ended, in unix milliseconds."""
    return [(step["started_at_epoch_ms"], step["completed_at_epoch_ms"]) for step in steps]
