"""Bringing a database's schema to another step. Whether that is needed says migrations.step."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger.schema import metadata

LOCK = "select pg_advisory_lock(hashtext('costhook.migrate'))"
UNLOCK = "select pg_advisory_unlock(hashtext('costhook.migrate'))"


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration, running on `connection`."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def newest() -> str:
    """The newest step this program knows."""
    head = ScriptDirectory.from_config(alembic_config()).get_current_head()
    assert head is not None
    return head


def is_ours(name: str | None, kind: str, _parents: object) -> bool:
    """For comparisons: leave out partitions, which are made as data comes, and other programs' tables."""
    return kind != "table" or name in metadata.tables


async def upgrade(engine: AsyncEngine, to: str = "head") -> None:
    """Run the missing steps, one process at a time. Each step is one transaction with lock and statement timeouts."""
    async with engine.connect() as connection:
        await connection.execute(text(LOCK))
        await connection.commit()
        try:
            await connection.run_sync(lambda c: command.upgrade(alembic_config(c), to))
            await connection.commit()
        finally:
            await connection.execute(text(UNLOCK))
            await connection.commit()


async def downgrade(engine: AsyncEngine, to: str) -> None:
    """Undo steps down to `to` (`base` for all). Loses what the undone steps stored."""
    async with engine.connect() as connection:
        await connection.run_sync(lambda c: command.downgrade(alembic_config(c), to))
        await connection.commit()
