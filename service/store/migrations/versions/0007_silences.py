"""Silences: signals that fit their matchers open nothing"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "silences",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("starts_at", sa.String(length=40), nullable=False),
        sa.Column("ends_at", sa.String(length=40), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
    )
    op.create_index("silences_ends_at", "silences", ["ends_at"])


def downgrade() -> None:
    op.drop_table("silences")
