"""Standing checks: when each is due and what was found"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "standing_checks",
        sa.Column("id", sa.String(length=63), primary_key=True),
        sa.Column("due_at", sa.Float(), nullable=False),
        sa.Column("claim", sa.String(length=32), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("standing_checks")
