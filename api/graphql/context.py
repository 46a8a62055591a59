"""What resolvers share within one request: who asks, the ledger as they may see it, and what was loaded already."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

from strawberry.dataloader import DataLoader
from strawberry.types import Info

from api.principal import Principal
from api.settings import ConnectorInfo
from ledger.alerts.book import Name as AlertName
from ledger.database import Connection, ReaderDB
from ledger.reads import alerts, runs
from ledger.reads import providers as reading

Name = tuple[str, str]


@dataclass
class Context:
    """One request. `now` is its time, the same for everything in it."""

    db: ReaderDB
    principal: Principal
    now: datetime
    request_id: str
    connectors: Sequence[ConnectorInfo] = ()
    month_costs: DataLoader[Name, Sequence[reading.MonthCost]] = field(init=False)
    running: DataLoader[Name, runs.SyncRun | None] = field(init=False)
    levels: DataLoader[AlertName, Sequence[alerts.LevelStanding]] = field(init=False)

    def __post_init__(self) -> None:
        self.month_costs = DataLoader(load_fn=self._month_costs)
        self.running = DataLoader(load_fn=self._running)
        self.levels = DataLoader(load_fn=self._levels)

    @asynccontextmanager
    async def ledger(self) -> AsyncIterator[Connection]:
        """A transaction that sees what the caller may see."""
        async with self.db.transaction(self.principal.namespaces) as connection:
            yield connection

    async def _month_costs(self, names: list[Name]) -> list[Sequence[reading.MonthCost]]:
        async with self.ledger() as connection:
            found = await reading.month_to_date(connection, names, self.now)
        return [found[name] for name in names]

    async def _running(self, names: list[Name]) -> list[runs.SyncRun | None]:
        async with self.ledger() as connection:
            found = await runs.running(connection, names)
        return [found.get(name) for name in names]

    async def _levels(self, names: list[AlertName]) -> list[Sequence[alerts.LevelStanding]]:
        async with self.ledger() as connection:
            found = await alerts.levels(connection, names, self.now)
        return [found.get(name, ()) for name in names]


Resolving = Info[Context, None]
"""What a resolver is told of the request."""
