"""What a connector's tests fill in, and the stage on which the suite plays a sync."""

from __future__ import annotations

import traceback
from base64 import b64encode
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

import pytest

from ledger.charge import Charge, check_period
from ledger.charge import check as check_charge
from ledger.window import DAY, Span, Window
from reconciler.connectors.base import BATCH, Connector, Context, Credentials, Settings
from reconciler.connectors.http import EgressPolicy, HttpLimits, Meter, VendorClient
from reconciler.connectors.scripted import ScriptedServer
from reconciler.errors import Bug, NeedsPerson, ReconcilerError, RetryLater

Totals = Mapping[tuple[date | None, str], Decimal]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the vendor's own books: what was used on a UTC day, and its price in major units.

    `item` and `project` are neutral labels: a vendor's test makes of them what its protocol has (a model, an
    SKU, a workspace). Two equal lines are two lines.
    """

    day: date
    amount: Decimal
    item: str = "alpha"
    project: str = "one"
    currency: str = "USD"


class Hooks:
    """What a connector's test fills in; the attributes have defaults that fit most vendors."""

    connector: ClassVar[type[Connector[Any]]]
    credentials: ClassVar[Mapping[str, str]] = {}
    """Values of the Secret: made up, at least eight characters each, and in the form the vendor gives out."""
    now: ClassVar[datetime] = datetime(2026, 3, 20, 12, tzinfo=UTC)
    first_day: ClassVar[date] = date(2026, 3, 2)
    """The suite's lines lie in the ten days from here; all of them in one month."""
    smallest: ClassVar[Decimal] = Decimal("0.01")
    """The finest amount the vendor's protocol can say; the suite's amounts are multiples of it."""
    currency: ClassVar[str] = "USD"
    credits: ClassVar[bool] = True
    """Whether the vendor's data can hold negative lines."""
    duplicates: ClassVar[bool] = True
    """Whether the vendor's data can hold the same line twice."""
    paged: ClassVar[bool] = True
    """Whether the vendor answers in pages that name the next one."""
    per_page: int = 3
    """Most lines (or buckets, where the vendor pages by them) that `vendor` puts on a page; the suite sets it."""

    def settings(self, base_url: str) -> Settings:
        """The connector's settings for a vendor at `base_url`; connectors that read files ignore it."""
        raise NotImplementedError

    def vendor(self, server: ScriptedServer, lines: Sequence[Line]) -> None:
        """Install routes on `server` that speak the vendor's documented protocol and have `lines` to tell.

        Called again, on the same server, when the vendor's books have changed. Whatever `check` asks for must
        be answered too. Requests are filtered as the vendor does (by the period asked for, at least), and a
        page holds at most `self.per_page` lines or buckets.
        """
        raise NotImplementedError

    def place(self, folder: Path, lines: Sequence[Line]) -> None:
        """Write `lines` as the file or files that the settings name, in `folder`; replaces earlier ones."""
        raise NotImplementedError

    def damage(self, folder: Path) -> None:
        """Make one row of the files in `folder` unreadable, as a broken export would be."""
        raise NotImplementedError

    def a_line(self, day: int, units: int, item: str = "alpha", project: str = "one") -> Line:
        """A line on the `day`th day of the suite's period, of `units` times the smallest amount."""
        return Line(self.first_day + day * DAY, units * self.smallest, item, project, self.currency)

    def some_lines(self) -> list[Line]:
        """Lines on every day of the period, several on some: more than a page of them."""
        twice = [self.a_line(day, 100 + 7 * day, "beta", "two") for day in range(0, 10, 3)]
        return [self.a_line(day, 1 + 13 * day) for day in range(10)] + twice

    def set_up(self, server: ScriptedServer, folder: Path, lines: Sequence[Line]) -> None:
        """Have the vendor know `lines`: by routes, or in files."""
        self.vendor(server, lines)

    @asynccontextmanager
    async def stage(self, folder: Path, lines: Sequence[Line]) -> AsyncIterator[Stage]:
        """A vendor that knows `lines`, and everything needed to sync from it."""
        async with ScriptedServer() as server:
            self.set_up(server, folder, lines)
            yield Stage(self, server, folder)


@dataclass
class Stage:
    """A scripted vendor and a ledger of the simplest kind: windows are read whole and replaced whole."""

    hooks: Hooks
    server: ScriptedServer
    folder: Path
    limits: HttpLimits = field(default_factory=HttpLimits)
    per_day: int | None = None
    waits: list[float] = field(default_factory=list)
    memory: dict[str, Any] = field(default_factory=dict)
    stored: list[Charge] = field(default_factory=list)

    @property
    def period(self) -> Span:
        return Span.of_days(self.hooks.first_day, self.hooks.first_day + 10 * DAY)

    def restate(self, lines: Sequence[Line]) -> None:
        """Change the vendor's books to `lines`."""
        self.hooks.set_up(self.server, self.folder, lines)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Connector[Any]]:
        """The connector, made as the reconciler makes it, with a client that does not really wait."""
        settings = self.hooks.settings(self.server.url)
        credentials = Credentials(self.hooks.credentials)
        async with VendorClient(
            base_url=getattr(settings, "base_url", None),
            policy=EgressPolicy(allow_loopback=True),
            meter=Meter(per_day=self.per_day, clock=lambda: self.hooks.now),
            redact=credentials.secrets(),
            limits=self.limits,
            sleep=self._wait,
            random=lambda: 0.5,
            clock=lambda: self.hooks.now,
        ) as http:
            context = Context(http, credentials, self.hooks.now, dict(self.memory), self.folder)
            yield self.hooks.connector(settings, context)

    async def sync(self, due: Span | None = None) -> None:
        """Read the windows of `due` (all of the period, if None) and store each that could be read whole."""
        async with self.opened() as connector:
            history = Span(self.period.start, self.hooks.now)
            for window in await connector.windows([due or self.period], history):
                rows = [row async for batch in connector.charges(window) for row in self._checked(batch, window)]
                self.stored = [row for row in self.stored if not _starts_in(row, window)] + rows
                self._remember(window)

    async def failed_sync(self) -> ReconcilerError:
        """Sync, expecting one of the three errors, with a reason and without a secret; returns it."""
        try:
            await self.sync()
        except (RetryLater, NeedsPerson, Bug) as error:
            self.inspect(error)
            return error
        pytest.fail("the sync ended as if all were well")

    def inspect(self, error: ReconcilerError) -> None:
        """Fail unless `error` has a reason and a text, and shows no credential in any form."""
        if not error.reason or not str(error).strip():
            pytest.fail(f"{error!r} needs a reason and a text")
        shown = "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))
        for secret in self.hooks.credentials.values():
            for form in (secret, quote(secret, safe=""), b64encode(secret.encode()).decode().rstrip("=")):
                if form in shown:
                    pytest.fail(f"a credential shows in {type(error).__name__}: {shown.replace(form, '<SECRET>')}")

    def totals(self) -> Totals:
        """What is stored, added up as `expected` adds up lines."""
        sums: dict[tuple[date | None, str], Decimal] = defaultdict(Decimal)
        for row in self.stored:
            if row.billed_cost is None:
                pytest.fail(f"a line with a price came out without one: {row}")
            sums[self.group(row.charge_period_start.date()), row.billing_currency] += row.billed_cost
        return _nonzero(sums)

    def expected(self, lines: Sequence[Line]) -> Totals:
        """Sum of `lines` per currency and day, or over all days where the vendor's grain is coarser than a day."""
        sums: dict[tuple[date | None, str], Decimal] = defaultdict(Decimal)
        for line in lines:
            sums[self.group(line.day), line.currency] += line.amount
        return _nonzero(sums)

    def rows(self) -> Counter[str]:
        """What is stored, as a multiset that two syncs can be compared by."""
        return Counter(map(repr, self.stored))

    def group(self, day: date) -> date | None:
        """What the figures of `day` are added up under: the day, or None where the grain is the month."""
        return None if self.hooks.connector.traits.grain == "Month" else day

    def _checked(self, batch: Sequence[Charge], window: Window) -> Sequence[Charge]:
        if len(batch) > 2 * BATCH:
            pytest.fail(f"a batch of {len(batch)} charges; about {BATCH} keep memory flat")
        for charge in batch:
            check_charge(charge)
            check_period(charge.charge_period_start, charge.charge_period_end, window.start, window.end)
            _check_values(charge, self.hooks.connector.traits.origin)
        return batch

    def _remember(self, window: Window) -> None:
        self.memory.update(window.remember)
        self.memory = {key: value for key, value in self.memory.items() if value is not None}

    async def _wait(self, seconds: float) -> None:
        self.waits.append(seconds)


def _check_values(charge: Charge, origin: str) -> None:
    for name, value in zip(Charge._fields, charge, strict=True):
        if _holds_float(value):
            pytest.fail(f"{name} holds a float: {value!r}; amounts are Decimal from the wire on")
        if name.endswith(("_cost", "_quantity")) and not isinstance(value, Decimal | None):
            pytest.fail(f"{name} is {value!r}, no Decimal")
    if len(charge.billing_currency) != 3 or not charge.billing_currency.isupper():
        pytest.fail(f"billing currency {charge.billing_currency!r} is no upper-case ISO 4217 code")
    if charge.x_origin != origin:
        pytest.fail(f"a charge of origin {charge.x_origin!r} where the traits say {origin!r}")


def _holds_float(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(map(_holds_float, value.values()))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return any(map(_holds_float, value))
    return isinstance(value, float)


def _starts_in(charge: Charge, window: Window) -> bool:
    return window.start <= charge.charge_period_start < window.end


def _nonzero(sums: Mapping[tuple[date | None, str], Decimal]) -> Totals:
    return {key: total for key, total in sums.items() if total}
