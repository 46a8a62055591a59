"""Alembic's entry: runs the steps on the connection it is given, one transaction each."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from ledger.schema import metadata


def _include(name: str | None, kind: str, parent_names: object) -> bool:
    """Leave partitions out of comparisons: they are made as data comes, not by migrations."""
    return kind != "table" or name in metadata.tables


def _run() -> None:
    connection: Connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=metadata,
        include_name=_include,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


_run()
