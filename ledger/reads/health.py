"""Whether the database can answer, and in which shape it is."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


async def schema_step(connection: AsyncConnection) -> str | None:
    """The step of the migrations at which the database is; None where none was ever made."""
    found = await connection.execute(text("select to_regclass('alembic_version') is not null"))
    if not found.scalar():
        return None
    step = (await connection.execute(text("select version_num from alembic_version"))).scalar()
    return None if step is None else str(step)
