"""Objectives: what was counted, and what was said of it"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "slo_counts",
        sa.Column("key", sa.String(length=32), primary_key=True),
        sa.Column("seconds", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("at", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("total", sa.Float()),
        sa.Column("bad", sa.Float()),
    )
    op.create_table(
        "slo_states",
        sa.Column("id", sa.String(length=63), primary_key=True),
        sa.Column("document", sa.JSON(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("slo_states")
    op.drop_table("slo_counts")
