"""What people said of incidents that the detector opened"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "detector_feedback",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("incident", sa.String(length=64), nullable=False),
        sa.Column("in_force", sa.Boolean(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
    )
    op.create_index("detector_feedback_in_force", "detector_feedback", ["in_force"])


def downgrade() -> None:
    op.drop_table("detector_feedback")
