"""The ending that a ticket has not been told yet, and references of tickets of any length"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("incidents") as batch:
        batch.add_column(sa.Column("ticket_owed", sa.String(length=80), nullable=True))
        batch.alter_column("ticket", existing_type=sa.String(length=200), type_=sa.Text(), existing_nullable=True)
    op.create_index(
        "incidents_ticket_owed",
        "incidents",
        ["ticket_owed"],
        sqlite_where=sa.text("ticket_owed IS NOT NULL"),
        postgresql_where=sa.text("ticket_owed IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("incidents_ticket_owed", table_name="incidents")
    with op.batch_alter_table("incidents") as batch:
        batch.alter_column("ticket", existing_type=sa.Text(), type_=sa.String(length=200), existing_nullable=True)
        batch.drop_column("ticket_owed")
