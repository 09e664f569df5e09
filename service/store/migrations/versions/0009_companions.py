"""Which kinds of signals belonged together, or did not"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "companions",
        sa.Column("one", sa.String(length=300), primary_key=True),
        sa.Column("other", sa.String(length=300), primary_key=True),
        sa.Column("together", sa.Float(), nullable=False),
        sa.Column("apart", sa.Float(), nullable=False),
        sa.Column("at", sa.String(length=40), nullable=False),
    )
    op.create_index("companions_other", "companions", ["other"])
    op.create_index("companions_at", "companions", ["at"])


def downgrade() -> None:
    op.drop_table("companions")
