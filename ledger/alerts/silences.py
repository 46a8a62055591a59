"""Silences: alerts that nobody is told of for a time; they are judged and shown all the same."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import text

from ledger.alerts.book import Name
from ledger.database import Connection

_ACTIVE: Final = text("""
    select namespace, alert, budget, severity, ends_at from silence
    where namespace = any(:namespaces) and starts_at <= :now and ends_at > :now
""")


@dataclass(frozen=True, slots=True)
class Silence:
    """What is silent until `ends_at`: all that matches every field given; None matches anything."""

    namespace: str
    alert: str | None
    budget: str | None
    severity: str | None
    ends_at: datetime

    def covers(self, alert: Name, budget: str | None, severity: str) -> bool:
        """Whether nobody is to be told of a level."""
        return (
            self.namespace == alert.namespace
            and self.alert in (None, alert.name)
            and self.budget in (None, budget)
            and self.severity in (None, severity)
        )


async def active(connection: Connection, namespaces: Collection[str], now: datetime) -> list[Silence]:
    """The silences that hold now."""
    rows = await connection.execute(_ACTIVE, {"namespaces": list(namespaces), "now": now})
    return [Silence(*row) for row in rows]
