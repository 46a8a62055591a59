"""A vendor without a network: a connector whose figures, faults and pauses a test sets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import ClassVar

from pydantic import Field

from ledger.charge import Charge
from ledger.window import DAY, Span, Window, midnight
from reconciler.connectors.base import Account, Connector, CredentialKey, Settings, SyncPrice, Traits
from reconciler.errors import NeedsPerson


@dataclass
class Books:
    """What the vendor knows, and what was asked of it."""

    bills: dict[date, list[str]] = field(default_factory=dict)
    """Amounts by day, in USD."""
    key: str = "good-key"
    fault: Callable[[Window], Exception | None] = lambda _window: None
    pause: asyncio.Event | None = None
    """While set to an event, answers wait for it."""
    paused: asyncio.Event = field(default_factory=asyncio.Event)
    read: list[Span] = field(default_factory=list)
    checks: int = 0
    notes: tuple[str, ...] = ()
    price: SyncPrice | None = None


class NoSettings(Settings):
    """The vendor `test` needs only to know where its books are."""

    desk: str = Field(default="main", description="Which books.")


class TestVendor(Connector[NoSettings]):
    """Reads the books."""

    __test__ = False
    traits = Traits(
        type="test",
        title="Test",
        origin="api",
        gives="amounts by day",
        grain="Day",
        reach=None,
        settling=timedelta(hours=24),
        moving=timedelta(days=3),
        credentials=(CredentialKey("apiKey", "the key of the books"),),
    )
    Settings = NoSettings
    books: ClassVar[dict[str, Books]] = {}

    @property
    def _books(self) -> Books:
        return self.books[self.settings.desk]

    async def check(self) -> Account:
        self._books.checks += 1
        await self.http.meter.before_call()
        if self.context.credentials["apiKey"] != self._books.key:
            raise NeedsPerson("the key does not open the books; make another", reason="Unauthorized")
        return Account("acc-1", "Main account", self._books.notes)

    def sync_price(self, trailing: timedelta) -> SyncPrice | None:
        return self._books.price

    async def charges(self, window: Window) -> AsyncIterator[Sequence[Charge]]:
        books = self._books
        books.read.append(window.span)
        await self.http.meter.before_call()
        for day in window.span.pieces():
            yield [self._charge(day.start.date(), n, a) for n, a in enumerate(books.bills.get(day.start.date(), []))]
            if books.pause is not None:
                books.paused.set()
                await books.pause.wait()
        fault = books.fault(window)
        if fault is not None:
            raise fault

    def _charge(self, day: date, number: int, amount: str) -> Charge:
        start = midnight(day)
        return Charge(start, start + DAY, "USD", Decimal(amount), "api", "Books", "Test", sku_id=f"line {number}")
