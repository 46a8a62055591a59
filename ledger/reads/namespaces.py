"""Which namespaces the ledger knows."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


async def namespaces(connection: AsyncConnection) -> list[str]:
    """Every namespace that ever had a provider, as far as the connection may see."""
    found = await connection.execute(text("select distinct namespace from provider order by namespace"))
    return [row.namespace for row in found]
