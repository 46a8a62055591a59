"""Resources that declare neither a vendor nor costs, and are not Ready: budgets, alerts and channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.reads.providers import Condition, condition

KINDS: Final = ("Alert", "Budget", "Channel")
SUSPENDED: Final = "Suspended"

_UNREADY: Final = text("""
    select r.namespace, r.kind, r.name, r.place, c.held
    from resource r cross join lateral (
        select held from jsonb_array_elements(coalesce(r.status -> 'conditions', '[]')) held
        where held ->> 'type' = 'Ready' limit 1
    ) c
    where r.kind = any(:kinds) and r.deleted_at is null and c.held ->> 'status' <> 'True'
        and c.held ->> 'reason' <> :suspended
    order by r.namespace, r.kind, r.name
""")


@dataclass(frozen=True, slots=True)
class Unready:
    """A resource that should be Ready and is not."""

    namespace: str
    kind: str
    name: str
    place: str | None
    ready: Condition

    def __str__(self) -> str:
        place = f" ({self.place})" if self.place else ""
        return f"{self.kind} {self.namespace}/{self.name}: {self.ready.reason}: {self.ready.message}{place}"


async def unready(connection: AsyncConnection) -> Sequence[Unready]:
    """Those that should be Ready and are not, in the order of their names."""
    rows = await connection.execute(_UNREADY, {"kinds": list(KINDS), "suspended": SUSPENDED})
    return [Unready(row.namespace, row.kind, row.name, row.place, condition(row.held)) for row in rows]
