"""The parts of one running installation: what `service/app.py` makes and everything else is handed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.domain.base import Clock
    from models.domain.topology import Topology
    from retrieval.index import PassageIndex
    from service.changing import ChangeNotes
    from service.corpus import CorpusKeeper
    from service.discovery.book import TopologyBook
    from service.discovery.metrics import MetricDiscovery
    from service.discovery.traces import TraceReader
    from service.guard.approvals import Approvals
    from service.guard.autonomy import Levels
    from service.guard.guard import Guard
    from service.guard.shadows import Shadows
    from service.intake import Intake
    from service.language.ledger import Ledger
    from service.log_intake import LogIntake
    from service.pipeline import Pipeline
    from service.ports import Executor, Source, Ticketing
    from service.remediation.workflow import Remediation
    from service.security.webhooks import Webhooks
    from service.settings import Settings
    from service.slo.book import SloBook
    from service.slo.keeper import SloKeeper
    from service.standing_checks.book import StandingBook
    from service.standing_checks.keeper import StandingKeeper
    from service.store.audit import AuditLog
    from service.store.changes import Changes
    from service.store.database import Database
    from service.store.executions import Executions
    from service.store.feedback import Feedbacks
    from service.store.incidents import Incidents
    from service.store.keys import Keys
    from service.store.maintenance import Maintenance
    from service.store.recommendations import Recommendations
    from service.store.replicas import Replicas
    from service.store.samples import SampleStore
    from service.store.silences import Silences
    from service.store.state import DetectorStates, KillSwitch


@dataclass(frozen=True)
class Parts:
    """Everything, made once. Tests make their own with other parts in place."""

    settings: Settings
    clock: Clock
    # State
    database: Database
    audit: AuditLog
    incidents: Incidents
    executions: Executions
    recommendations: Recommendations
    keys: Keys
    webhooks: Webhooks
    kill_switch: KillSwitch
    maintenance: Maintenance
    silences: Silences
    feedbacks: Feedbacks
    changes: Changes
    detector_states: DetectorStates
    samples: SampleStore
    # Knowledge
    topology: Topology
    discovery: TopologyBook
    corpus: CorpusKeeper
    index: PassageIndex
    # The outside
    source: Source
    executors: dict[str, Executor]
    ticketing: Ticketing
    # The flow
    intake: Intake
    logs: LogIntake
    traces: TraceReader
    call_metrics: MetricDiscovery
    notes: ChangeNotes
    slos: SloBook
    slo_keeper: SloKeeper
    standing: StandingBook
    standing_keeper: StandingKeeper
    pipeline: Pipeline
    guard: Guard
    approvals: Approvals
    levels: Levels
    shadows: Shadows
    replicas: Replicas
    remediation: Remediation
    ledger: Ledger | None = None
    """What the language model took."""

    def close(self) -> None:
        """Let go of files and connections; a workflow in progress continues at the next start."""
        self.remediation.stop()
        self.samples.close()
        self.index.close()
        self.database.close()
