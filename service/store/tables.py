"""The tables. A row keeps its domain object as JSON; columns beside it are what queries and constraints need."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.engine import Dialect

from models.domain.execution import FINAL_STATES, ExecutionState

metadata = MetaData()


def as_column(text: str, width: int) -> str:
    """Words of the outside as a column of that width takes them: cut, and without NUL, which PostgreSQL refuses."""
    return text[:width].replace("\x00", "\ufffd")


class _Words(TypeDecorator[str]):
    """A column for words of the outside. What is compared with it is treated as what is stored in it."""

    impl = String
    cache_ok = True

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.width = width

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else as_column(value, self.width)


# SQLite numbers rows only through INTEGER, PostgreSQL wants BIGINT.
_Number = BigInteger().with_variant(Integer, "sqlite")

incidents = Table(
    "incidents",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("status", String(32), nullable=False),
    Column("environment", _Words(200), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("version", Integer, nullable=False),
    Column("updated_at", String(40), nullable=False),
    Column("ended_at", String(40)),
    Column("ticket", Text),
    # Counts the updates of its ticket: their order.
    Column("ticket_updates", Integer, nullable=False),
    # The ending that its ticket has not been told yet.
    Column("ticket_owed", String(80)),
    Column("document", JSON, nullable=False),
    Index("incidents_status", "status"),
    Index(
        "incidents_ticket_owed",
        "ticket_owed",
        sqlite_where=text("ticket_owed IS NOT NULL"),
        postgresql_where=text("ticket_owed IS NOT NULL"),
    ),
)

timeline = Table(
    "timeline",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("incident", _Number, nullable=False, index=True),
    Column("key", String(200)),
    Column("entry", JSON, nullable=False),
    # A step that runs again after a crash writes its entry once.
    UniqueConstraint("incident", "key", name="timeline_key"),
)

recommendations = Table(
    "recommendations",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("incident", _Number, nullable=False, index=True),
    Column("document", JSON, nullable=False),
)

_ACTIVE = ", ".join(f"'{state}'" for state in sorted(set(ExecutionState) - FINAL_STATES - {ExecutionState.PENDING}))

executions = Table(
    "executions",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("incident", _Number, nullable=False, index=True),
    Column("workflow", String(200), nullable=False),
    Column("candidate_hash", String(64), nullable=False),
    Column("target", _Words(300), nullable=False),
    Column("state", String(32), nullable=False),
    # What limits count by, over all replicas.
    Column("service", _Words(200), nullable=False),
    Column("environment", _Words(200), nullable=False),
    Column("action", _Words(201), nullable=False),
    Column("started_at", String(40)),
    Column("document", JSON, nullable=False),
    Index("executions_started_at", "started_at"),
    # At most one active execution a target, over all replicas: the database itself refuses a second one.
    Index(
        "executions_one_active_per_target",
        "target",
        unique=True,
        sqlite_where=text(f"state IN ({_ACTIVE})"),
        postgresql_where=text(f"state IN ({_ACTIVE})"),
    ),
)

approvals = Table(
    "approvals",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("execution", String(64), nullable=False),
    Column("by", _Words(200), nullable=False),
    Column("document", JSON, nullable=False),
    # One word a person: changing it afterwards would change what was decided on.
    UniqueConstraint("execution", "by", name="approvals_one_per_person"),
)

outcomes = Table(
    "outcomes",
    metadata,
    Column("execution", String(64), primary_key=True),
    Column("uses", _Words(200), nullable=False),
    Column("runbook", _Words(100), nullable=False),
    Column("action", _Words(100), nullable=False),
    Column("environment", _Words(200), nullable=False),
    Column("verified", Boolean, nullable=False),
    Column("at", String(40), nullable=False),
    Column("document", JSON, nullable=False),
    Index("outcomes_action", "runbook", "action", "environment", "at"),
)

shadows = Table(
    "shadows",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("incident", _Number, nullable=False),
    Column("episode", Integer, nullable=False),
    Column("runbook", _Words(100), nullable=False),
    Column("action", _Words(100), nullable=False),
    Column("environment", _Words(200), nullable=False),
    Column("at", String(40), nullable=False),
    Column("document", JSON, nullable=False),
    # One choice an episode: the first that a person made.
    UniqueConstraint("incident", "episode", name="shadows_one_per_episode"),
    Index("shadows_action", "runbook", "action", "environment"),
)

autonomy = Table(
    "autonomy",
    metadata,
    Column("runbook", _Words(100), primary_key=True),
    Column("action", _Words(100), primary_key=True),
    Column("environment", _Words(200), primary_key=True),
    Column("document", JSON, nullable=False),
)

maintenance = Table(
    "maintenance",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("service", _Words(200), nullable=False),
    Column("environment", _Words(200), nullable=False),
    Column("starts_at", String(40), nullable=False),
    Column("ends_at", String(40), nullable=False),
    Column("document", JSON, nullable=False),
)

silences = Table(
    "silences",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("starts_at", String(40), nullable=False),
    Column("ends_at", String(40), nullable=False),
    Column("document", JSON, nullable=False),
    Index("silences_ends_at", "ends_at"),
)

companions = Table(
    "companions",
    metadata,
    Column("one", _Words(300), primary_key=True),
    Column("other", _Words(300), primary_key=True),
    Column("together", Float, nullable=False),
    Column("apart", Float, nullable=False),
    Column("at", String(40), nullable=False),
    Index("companions_other", "other"),
    Index("companions_at", "at"),
)

detector_feedback = Table(
    "detector_feedback",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("incident", String(64), nullable=False),
    # Not undone.
    Column("in_force", Boolean, nullable=False),
    Column("document", JSON, nullable=False),
    Index("detector_feedback_in_force", "in_force"),
)

replicas = Table(
    "replicas",
    metadata,
    # A new one at each start of the process.
    Column("identity", String(64), primary_key=True),
    # The state folder, over restarts.
    Column("home", String(64), nullable=False),
    Column("host", _Words(200), nullable=False),
    # Of the workflow's code.
    Column("version", String(64), nullable=False),
    # Unix seconds by the database's own clock: replicas' clocks may differ.
    Column("beat_at", Float, nullable=False),
    Column("taken_by", String(64)),
)

audit = Table(
    "audit",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=False),
    Column("at", String(40), nullable=False),
    Column("actor", String(200), nullable=False),
    Column("event", String(100), nullable=False),
    Column("subject", String(300), nullable=False),
    Column("data", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)

keys = Table(
    "api_keys",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("role", String(32), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("created_at", String(40), nullable=False),
    Column("revoked_at", String(40)),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("webhook", String(63), primary_key=True),
    # SHA-256 of the sender's identifier, which may be of any length.
    Column("digest", String(64), primary_key=True),
    # Unix seconds by the database's own clock, as for replicas.
    Column("taken_at", Float, nullable=False),
    Index("deliveries_taken_at", "taken_at"),
)

change_events = Table(
    "change_events",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    # Unix seconds.
    Column("at", Float, nullable=False),
    Column("kind", _Words(100), nullable=False),
    Column("service", _Words(200), nullable=False),
    Column("environment", _Words(200), nullable=False),
    Column("document", JSON, nullable=False),
    Index("change_events_at", "at"),
)

switches = Table(
    "switches",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", JSON, nullable=False),
)

detector_states = Table(
    "detector_states",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("saved_at", Float, nullable=False),
    Column("state", LargeBinary, nullable=False),
)

slo_counts = Table(
    "slo_counts",
    metadata,
    # A hash of the objective's id and indicator: counts of another indicator are others.
    Column("key", String(32), primary_key=True),
    # How long the slot is: a minute or an hour.
    Column("seconds", Integer, primary_key=True, autoincrement=False),
    # Its start, unix seconds.
    Column("at", BigInteger, primary_key=True, autoincrement=False),
    # Null: nothing could be counted.
    Column("total", Float),
    Column("bad", Float),
)

slo_states = Table(
    "slo_states",
    metadata,
    Column("id", String(63), primary_key=True),
    Column("document", JSON, nullable=False),
)

standing_checks = Table(
    "standing_checks",
    metadata,
    Column("id", String(63), primary_key=True),
    # Unix seconds by the database's own clock, as for replicas.
    Column("due_at", Float, nullable=False),
    # Of who measures it, or did last.
    Column("claim", String(32), nullable=False),
    Column("document", JSON, nullable=False),
)

topology_edges = Table(
    "topology_edges",
    metadata,
    Column("caller", _Words(200), primary_key=True),
    Column("callee", _Words(200), primary_key=True),
    # What showed it: traces or metrics.
    Column("source", String(16), primary_key=True),
    # Unix seconds.
    Column("first_at", Float, nullable=False),
    Column("last_at", Float, nullable=False),
    Column("calls", Float, nullable=False),
)
