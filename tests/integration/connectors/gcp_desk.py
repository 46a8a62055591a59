"""A desk on which syncs of Google's export are played, with the identity that a cluster's token is taken for."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from ledger.charge import Charge
from ledger.money import plain
from ledger.window import DAY, Piece, Span, Window, due, midnight
from reconciler.connectors.base import Context, Credentials
from reconciler.connectors.gcp import Gcp, GcpSettings
from reconciler.connectors.http import EgressPolicy, Meter, VendorClient

NOW: Final = datetime(2026, 3, 20, 12, tzinfo=UTC)
SINCE: Final = datetime(2026, 2, 1, tzinfo=UTC)


@dataclass
class Desk:
    """A ledger of the simplest kind: windows are read whole and replaced whole; days fall due as in the real one."""

    block: Mapping[str, Any]
    credentials: Mapping[str, str] = field(default_factory=dict)
    now: datetime = NOW
    memory: dict[str, Any] = field(default_factory=dict)
    stored: list[Charge] = field(default_factory=list)
    pieces: dict[datetime, Piece] = field(default_factory=dict)
    read: list[Window] = field(default_factory=list)
    """The windows of the last sync that were stored, in their order."""
    meter: Meter = field(default_factory=Meter)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Gcp]:
        """The connector, with the memory of earlier syncs."""
        settings = GcpSettings.model_validate(self.block)
        async with VendorClient(
            base_url=settings.base_url,
            policy=EgressPolicy(allow_loopback=True),
            meter=self.meter,
            redact=tuple(self.credentials.values()),
            sleep=self._wait,
        ) as http:
            memory = json.loads(json.dumps(self.memory))
            yield Gcp(settings, Context(http, Credentials(self.credentials), self.now, memory))

    async def _wait(self, seconds: float) -> None:
        """What is to be waited for is there at once."""

    async def sync(self) -> None:
        """One sync as the reconciler does it."""
        self.read, self.meter = [], Meter()
        async with self.opened() as connector:
            history = Span(SINCE, midnight(self.now.date()) + DAY)
            days = due(history, self.pieces.values(), Gcp.traits.moving)
            for window in await connector.windows(days, history):
                await self.replace(connector, window)

    async def replace(self, connector: Gcp, window: Window) -> None:
        """Read a window and store it, with what it wants remembered."""
        rows: list[Charge] = []
        async for batch in connector.charges(window):
            rows += batch
        assert all(window.start <= charge.charge_period_start < window.end for charge in rows)
        self.stored = [each for each in self.stored if not window.start <= each.charge_period_start < window.end] + rows
        self.memory = json.loads(json.dumps({**self.memory, **window.remember}))
        read_at = min(self.now, window.seen_until or self.now)
        self.pieces |= {piece.start: Piece(piece, read_at, 0, 0) for piece in window.span.pieces()}
        self.read.append(window)

    @property
    def days(self) -> list[str]:
        """The days that the last sync read, as windows, such as `03-01..03-04`; the second is not read any more."""
        return [f"{window.start:%m-%d}..{window.end:%m-%d}" for window in self.read]

    @property
    def costs(self) -> Counter[str]:
        """The billed costs that are stored, plainly."""
        return Counter(plain(charge.billed_cost) for charge in self.stored if charge.billed_cost is not None)

    def sums(self, *names: str) -> dict[tuple[Any, ...], Decimal]:
        """What is stored, added up by fields of charges or keys of their extra."""
        sums: dict[tuple[Any, ...], Decimal] = {}
        for charge in self.stored:
            key = tuple(_value(charge, name) for name in names)
            sums[key] = sums.get(key, Decimal(0)) + (charge.billed_cost or Decimal(0))
        return sums


def _value(charge: Charge, name: str) -> Any:
    if name == "day":
        return f"{charge.charge_period_start:%m-%d}"
    return getattr(charge, name) if name in Charge._fields else (charge.extra or {}).get(name)


def found(stored: Sequence[Charge], **wanted: Any) -> Charge:
    """The one charge whose fields are as wanted."""
    (charge,) = [each for each in stored if all(_value(each, name) == value for name, value in wanted.items())]
    return charge
