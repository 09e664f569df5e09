"""Deliveries of webhooks that were taken: each counts once"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "deliveries",
        sa.Column("webhook", sa.String(length=63), primary_key=True),
        sa.Column("digest", sa.String(length=64), primary_key=True),
        sa.Column("taken_at", sa.Float(), nullable=False),
    )
    op.create_index("deliveries_taken_at", "deliveries", ["taken_at"])


def downgrade() -> None:
    op.drop_table("deliveries")
