"""Alembic's entry: runs the steps on the connection it is given, one transaction each."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from ledger.schema import metadata
from migrations.upgrade import is_ours


def _run() -> None:
    connection: Connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=metadata,
        include_name=is_ours,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


_run()
