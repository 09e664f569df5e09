"""What limits count by, earned autonomy, maintenance windows, and replicas that are alive"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    with op.batch_alter_table("executions") as batch:
        for name, width in (("service", 200), ("environment", 200), ("action", 201)):
            batch.add_column(sa.Column(name, sa.String(length=width), nullable=False, server_default=""))
        batch.add_column(sa.Column("started_at", sa.String(length=40), nullable=True))
    op.create_index("executions_started_at", "executions", ["started_at"])
    _fill()
    with op.batch_alter_table("executions") as batch:
        for name, width in (("service", 200), ("environment", 200), ("action", 201)):
            batch.alter_column(name, existing_type=sa.String(length=width), nullable=False, server_default=None)
    # Limits and autonomy read the newest outcomes of one action.
    op.drop_index("outcomes_action", "outcomes")
    op.create_index("outcomes_action", "outcomes", ["runbook", "action", "environment", "at"])
    op.create_table(
        "shadows",
        sa.Column("number", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("incident", _NUMBER, nullable=False),
        sa.Column("episode", sa.Integer(), nullable=False),
        sa.Column("runbook", sa.String(length=100), nullable=False),
        sa.Column("action", sa.String(length=100), nullable=False),
        sa.Column("environment", sa.String(length=200), nullable=False),
        sa.Column("at", sa.String(length=40), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.UniqueConstraint("incident", "episode", name="shadows_one_per_episode"),
    )
    op.create_index("shadows_action", "shadows", ["runbook", "action", "environment"])
    op.create_table(
        "autonomy",
        sa.Column("runbook", sa.String(length=100), primary_key=True),
        sa.Column("action", sa.String(length=100), primary_key=True),
        sa.Column("environment", sa.String(length=200), primary_key=True),
        sa.Column("document", sa.JSON(), nullable=False),
    )
    op.create_table(
        "maintenance",
        sa.Column("number", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("service", sa.String(length=200), nullable=False),
        sa.Column("environment", sa.String(length=200), nullable=False),
        sa.Column("starts_at", sa.String(length=40), nullable=False),
        sa.Column("ends_at", sa.String(length=40), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
    )
    op.create_table(
        "replicas",
        sa.Column("identity", sa.String(length=64), primary_key=True),
        sa.Column("home", sa.String(length=64), nullable=False),
        sa.Column("host", sa.String(length=200), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("beat_at", sa.Float(), nullable=False),
        sa.Column("taken_by", sa.String(length=64), nullable=True),
    )


def _fill() -> None:
    table = sa.table(
        "executions",
        sa.column("number"),
        sa.column("service"),
        sa.column("environment"),
        sa.column("action"),
        sa.column("started_at"),
        sa.column("document", sa.JSON()),
    )
    connection = op.get_bind()
    for number, document in connection.execute(sa.select(table.c.number, table.c.document)).all():
        candidate = document["candidate"]
        connection.execute(
            sa.update(table)
            .where(table.c.number == number)
            .values(
                service=(candidate["service"] or "")[:200],
                environment=candidate["environment"][:200],
                action=f"{candidate['runbook']}/{candidate['action']}"[:201],
                started_at=document["started_at"],
            )
        )


def downgrade() -> None:
    for name in ("replicas", "maintenance", "autonomy", "shadows"):
        op.drop_table(name)
    op.drop_index("outcomes_action", "outcomes")
    op.create_index("outcomes_action", "outcomes", ["runbook", "action", "environment"])
    op.drop_index("executions_started_at", "executions")
    with op.batch_alter_table("executions") as batch:
        for name in ("started_at", "action", "environment", "service"):
            batch.drop_column(name)
