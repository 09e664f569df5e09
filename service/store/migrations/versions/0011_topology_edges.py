"""Dependencies that were seen in traces and metrics"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "topology_edges",
        sa.Column("caller", sa.String(length=200), primary_key=True),
        sa.Column("callee", sa.String(length=200), primary_key=True),
        sa.Column("source", sa.String(length=16), primary_key=True),
        sa.Column("first_at", sa.Float(), nullable=False),
        sa.Column("last_at", sa.Float(), nullable=False),
        sa.Column("calls", sa.Float(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("topology_edges")
