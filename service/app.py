"""Wiring only: settings → parts, and what runs in each role. Everything is made here, once, and handed on."""

from __future__ import annotations

from collections.abc import Sequence

from models.domain.base import Clock, utc_now
from retrieval.index import PassageIndex
from service.background import Loop, corpus_loop, detector_loops, worker_loops
from service.bridging import Bridge
from service.changing import ChangeNotes
from service.corpus import CorpusKeeper, source_store
from service.detector_view import in_force
from service.discovery.book import TopologyBook
from service.discovery.metrics import MetricDiscovery
from service.discovery.traces import TraceReader
from service.evidence import EvidenceGatherer, Means
from service.guard.approvals import Approvals, own_signing_key, sealing_key
from service.guard.autonomy import Levels
from service.guard.error_budget import error_budget
from service.guard.guard import Guard
from service.guard.limits import Limits
from service.guard.policy import load_policies
from service.guard.shadows import Shadows
from service.intake import Intake
from service.language import language_model
from service.language.ledger import Ledger
from service.language.tally import ModelTally
from service.log_intake import LogIntake
from service.parts import Parts
from service.pipeline import Pipeline
from service.ports import Context, Detector
from service.registry import DETECTORS, EMBEDDERS, ITSM, SOURCES, build, build_executors, sql_reader, verb_catalogue
from service.remediation.acting import Actor
from service.remediation.approving import Approving
from service.remediation.closing import Closing
from service.remediation.deciding import Deciding
from service.remediation.durable import WorkflowClient, create_dbos
from service.remediation.endings import Endings
from service.remediation.executing import Executing
from service.remediation.interruption import Interruption
from service.remediation.replica import Replica
from service.remediation.starting import Starting
from service.remediation.tickets import TicketOutbox
from service.remediation.workflow import Remediation, Steps
from service.security.secrets import resolve_secret
from service.security.webhooks import Webhooks
from service.settings import Settings
from service.slo.file import slo_book
from service.slo.keeper import SloKeeper
from service.standing_checks.book import StandingBook
from service.standing_checks.facts import Means as MeansOfChecks
from service.standing_checks.keeper import StandingKeeper
from service.state_folder import make_state_folder, samples_url
from service.store.audit import AuditLog
from service.store.autonomy import Autonomies
from service.store.changes import Changes
from service.store.database import open_database
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
from service.store.topology import Edges
from service.topology import load_topology

_DETECTS = ("all", "detector")
WORKS = ("all", "worker")
"""Roles that carry out remediations."""


def build_parts(settings: Settings, clock: Clock = utc_now) -> Parts:
    """Everything of one installation; nothing runs yet. Raises BadInput for settings that cannot be used."""
    webhooks = Webhooks(settings.webhooks)
    make_state_folder(settings.state_dir)
    database = open_database(settings.database)
    audit = AuditLog(database, clock, sealing_key(settings))
    incidents = Incidents(database, audit, clock)
    executions = Executions(database, audit, clock)
    recommendations = Recommendations(database, audit)
    kill_switch = KillSwitch(database, audit)
    states = DetectorStates(database, clock)
    samples = SampleStore(
        samples_url(settings), retention=settings.retention, max_series=settings.max_series, clock=clock
    )
    context = Context(clock=clock, secret=resolve_secret, database=database.engine, samples=samples)
    source = build(SOURCES, settings.source, context)
    executors = build_executors(settings.executors, context)
    sql = sql_reader(executors)
    ticketing = build(ITSM, settings.ticketing, context)
    topology = load_topology(settings.topology)
    discovery = TopologyBook(topology, Edges(database, settings.discovery.max_edges), settings.discovery, clock)
    embedder = build(EMBEDDERS, settings.embedder, context)
    index = PassageIndex(settings.state_dir / "index", embedder)
    corpus = CorpusKeeper(settings.runbooks, settings.postmortems, index, source_store(settings))
    catalogue = verb_catalogue(executors)
    interruption = Interruption()
    replicas = Replicas(database, audit, settings.replica_lease)
    replica = Replica(settings.state_dir, replicas, settings.replica_lease, interruption)
    limits = Limits(database, settings.limits, topology, clock)
    levels = Levels(Autonomies(database, audit), executions, incidents, settings, clock)
    shadows = Shadows(levels, incidents, executions, recommendations, settings, clock)
    policies = load_policies(settings.policies, verb_catalogue())
    budget = error_budget(settings.error_budget_left, source, clock)
    guard = Guard(
        policies, settings, kill_switch, executions, clock,
        autonomy=levels, limits=limits, error_budget=budget, one_view=database.one_view,
    )  # fmt: skip
    ledger = Ledger(database, clock, settings.model_budget, settings.model_cache)
    slos = slo_book(settings.slos, database, clock)
    pipeline = Pipeline(
        settings=settings,
        clock=clock,
        topology=topology,
        corpus=corpus,
        evidence=EvidenceGatherer(
            corpus,
            index,
            catalogue,
            clock,
            source,
            executions,
            sql,
            means=Means(Bridge(embedder), settings.diagnose, settings.abstain_below, topology),
        ),
        source=source,
        sql=sql,
        detector=_detector(settings, context),
        model=language_model(settings, ledger),
        burned=slos.burned if settings.slos is not None else None,
        tally=ModelTally(),
        discovery=discovery,
        guard=guard,
        actor=Actor(executors, executions, clock, interruption.pause, replica.renew, replica.confirm),
    )
    changes = Changes(database, clock)
    notes = ChangeNotes(database, changes, incidents, topology)
    feedbacks = Feedbacks(database, audit, clock)
    intake = Intake(pipeline, database, incidents, samples, states, settings, clock, notes)
    dbos = create_dbos(settings, replica.identity)
    client = WorkflowClient(settings)
    outbox = TicketOutbox(dbos, client, ticketing, incidents, interruption, guard)
    keys = Keys(database, audit, clock)
    expires = settings.approval_expires
    approvals = Approvals(executions, own_signing_key(settings, audit), expires, clock, keys=keys, guard=guard)
    closing = Closing(executions, incidents, outbox, levels, clock)
    pause = interruption.pause
    starting = Starting(pipeline, approvals, limits, closing, incidents, executions, clock, pause)
    steps = Steps(
        Deciding(pipeline, outbox, incidents, executions, recommendations, clock),
        Approving(settings.approvals, approvals, shadows, outbox, closing, incidents, executions, clock, pause),
        starting,
        Executing(pipeline, closing, incidents, executions, clock, pause, starting.refusal),
        Endings(pipeline, closing, outbox, incidents, executions, recommendations),
    )
    standing = StandingBook(settings.checks, database, clock)
    means = MeansOfChecks(source, topology, clock, sql)
    return Parts(
        settings=settings,
        clock=clock,
        database=database,
        audit=audit,
        incidents=incidents,
        executions=executions,
        recommendations=recommendations,
        keys=keys,
        webhooks=webhooks,
        kill_switch=kill_switch,
        maintenance=Maintenance(database, audit, clock),
        silences=Silences(database, audit, clock),
        feedbacks=feedbacks,
        changes=changes,
        detector_states=states,
        samples=samples,
        topology=topology,
        discovery=discovery,
        corpus=corpus,
        index=index,
        source=source,
        executors=executors,
        ticketing=ticketing,
        intake=intake,
        traces=TraceReader(),
        call_metrics=MetricDiscovery(settings.discovery.metrics, source, discovery, clock),
        logs=LogIntake(intake, states, changes, settings, clock),
        notes=notes,
        slos=slos,
        slo_keeper=SloKeeper(slos, source, incidents, intake.with_writing, clock),
        standing=standing,
        standing_keeper=StandingKeeper(standing, means, incidents, intake.with_writing),
        pipeline=pipeline,
        guard=guard,
        approvals=approvals,
        levels=levels,
        shadows=shadows,
        replicas=replicas,
        ledger=ledger,
        remediation=Remediation(dbos, steps, outbox, incidents, settings, client, replica, replicas, interruption),
    )


def start_role(parts: Parts, role: str) -> list[Loop]:
    """Begin what a role (`all`, `api`, `detector` or `worker`) does. The corpus is read in every one."""
    parts.corpus.sync()
    loops = [corpus_loop(parts)]
    if role in _DETECTS:
        parts.intake.start_detecting()
        parts.intake.tune(in_force(parts.feedbacks.tolerances()))
        parts.logs.start()
        loops += detector_loops(parts)
    if role in WORKS:
        parts.remediation.launch()
        loops += worker_loops(parts)
    for loop in loops:
        loop.start()
    return loops


def stop_role(parts: Parts, loops: Sequence[Loop]) -> None:
    """End what a role does; what is unfinished continues at the next start."""
    for loop in loops:
        loop.stop()
    parts.intake.save_detector()
    parts.logs.save()
    parts.close()


def _detector(settings: Settings, context: Context) -> Detector | None:
    if settings.detector.name == "off":
        return None
    detector: Detector = build(DETECTORS, settings.detector, context)
    return detector
