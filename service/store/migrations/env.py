"""Alembic's entry: runs the revisions on the connection that `Database.migrate` passes."""

from __future__ import annotations

from alembic import context

from service.store.tables import metadata


def _ours(name: str | None, kind: str, _parents: object) -> bool:
    # Samples and tickets keep tables of their own in the same database; DBOS a schema of its own.
    return kind != "table" or name in metadata.tables


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    include_name=_ours,
)
with context.begin_transaction():
    context.run_migrations()
