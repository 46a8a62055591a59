"""The connector of type `manual`: entries that people made become charges, and months that lack one are asked for.

A month is read again when its entries changed or its days are due. What was stored of a month is remembered by a
digest, so that a figure which is taken back leaves the ledger too.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import date, timedelta
from hashlib import sha256
from typing import ClassVar, Final

from pydantic import Field

from ledger.charge import Charge
from ledger.entry import Entry
from ledger.recurrence import Entry as Due
from ledger.recurrence import Spread, parts
from ledger.window import DAY, Span, Window, midnight
from reconciler.connectors.base import Account, Connector, Context, Settings, Traits
from reconciler.connectors.manual.vendors import Vendor, vendor
from reconciler.errors import NeedsPerson

EMPTY: Final = "empty"
MISSING: Final = "missing"
OPEN: Final = "open"
WHOLE: Final = "whole"


class AwaitingEntry(NeedsPerson):
    """A month is over and its figure is not entered."""

    reason = "AwaitingEntry"


class ManualSettings(Settings):
    """The block `spec.manual` of a Provider."""

    vendor: str = Field(
        description="Whose bill it is: groq, perplexity, cohere, replicate and gemini are known with their pages; any "
        "other is named as people write it.",
        min_length=1,
        max_length=128,
    )
    service: str | None = Field(
        default=None, description="Name of the service; the vendor's if absent.", min_length=1, max_length=256
    )
    page: str | None = Field(
        default=None,
        description="Page where a person finds the figure; the vendor's if absent.",
        max_length=2048,
        pattern=r"^https?://\S+$",
    )
    since: str | None = Field(
        default=None,
        description="First month for which a figure is expected, such as 2026-10; that of the first entry if absent.",
        pattern=r"^20[0-9][0-9]-(0[1-9]|1[0-2])$",
        max_length=7,
    )
    grace_days: int = Field(
        default=5, alias="graceDays", description="Days after a month's end until its figure is missed.", ge=0, le=60
    )
    spread: Spread = Field(
        default="Whole", description="Whole counts a month's figure on its first day, Daily on all of its days."
    )


class Manual(Connector[ManualSettings]):
    """Turns what people entered into charges."""

    Settings = ManualSettings
    traits: ClassVar[Traits] = Traits(
        type="manual",
        title="Vendors without an API",
        origin="manual",
        gives="What a person enters for each month and service, for vendors without an API.",
        grain="Month",
        reach=None,
        settling=timedelta(0),
        moving=timedelta(0),
    )

    def __init__(self, settings: ManualSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._vendor: Vendor = vendor(settings.vendor)
        self._entered: Mapping[date, Sequence[Entry]] = {}

    async def check(self) -> Account:
        """There is nobody to ask."""
        return Account()

    async def windows(self, due: Sequence[Span], history: Span) -> list[Window]:
        """The months whose entries are others than those stored, and those with entries that are due; newest first."""
        self._entered = _by_month(await self.context.entries())
        return [self._window(month) for month in sorted(self._months(), reverse=True) if self._is_due(month, due)]

    async def charges(self, window: Window) -> AsyncIterator[Sequence[Charge]]:
        """A charge for each entry of the month, or for each of its days."""
        for month in window.span.months():
            yield [charge for entry in self._entered.get(month.date(), ()) for charge in self._charges(entry)]

    async def awaiting(self) -> NeedsPerson | None:
        """The first month that is over and has no figure."""
        missing = [month for month in self._expected() if month not in self._entered]
        if not missing:
            return None
        month, others = f"{missing[0]:%Y-%m}", len(missing) - 1
        more = f" ({others} more months are missing)" if others > 1 else " (one more is missing)" if others else ""
        return AwaitingEntry(
            f"the figure of {self._vendor.title} for {month} is missing{more}; {self._where()}, then enter it: "
            f"costhook cost add {self.context.name} --month {month} --amount 12.34"
        )

    def _where(self) -> str:
        page = self.settings.page or self._vendor.page
        if page is None:
            return f"find it on {self._vendor.title}'s invoice"
        where = self._vendor.where if self.settings.page is None else None
        return f"find it at {page}{f' ({where})' if where else ''}"

    def _expected(self) -> Iterator[date]:
        """Every month for which there should be a figure by now."""
        known = self.context.now - self.settings.grace_days * DAY
        last = _before(known.date().replace(day=1))
        first = self._first(last)
        while first <= last:
            yield first
            first = _after(first)

    def _first(self, default: date) -> date:
        """The first month for which a figure is expected."""
        since = self.settings.since
        return date.fromisoformat(f"{since}-01") if since else min(self._entered, default=default)

    def _months(self) -> set[date]:
        stored = {date.fromisoformat(f"{month}-01") for month in self.context.memory}
        first = {self._first(date.max)} if self._entered else set()
        return {*self._entered, *stored, *first}

    def _window(self, month: date) -> Window:
        state = self._state(month)
        span = Span.of_days(month, _after(month))
        seen = None if state == EMPTY or state.endswith(WHOLE) else span.start
        return Window(span, seen_until=seen, remember={f"{month:%Y-%m}": state})

    def _state(self, month: date) -> str:
        """What is to be stored of a month, in a word. Before the first that is expected nothing is missing."""
        entries = self._entered.get(month)
        if entries:
            told = [[entry.key.service, entry.figure.told()] for entry in entries]
            settings = [self.settings.vendor, self.settings.service, self.settings.spread]
            digest = sha256(json.dumps([told, settings]).encode()).hexdigest()
            return f"{digest} {WHOLE if _after(month) <= self.context.now.date() else OPEN}"
        return EMPTY if month < self._first(month) else MISSING

    def _is_due(self, month: date, due: Sequence[Span]) -> bool:
        whole = Span.of_days(month, _after(month))
        stale = self._state(month) != self.context.memory.get(f"{month:%Y-%m}")
        return stale or (month in self._entered and any(span.overlaps(whole) for span in due))

    def _charges(self, entry: Entry) -> Iterator[Charge]:
        month, figure = entry.key.month, entry.figure
        due = Due(figure.amount, figure.currency, month, _after(month), spread=self.settings.spread)
        service = entry.key.service or self.settings.service or self._vendor.service
        for part in parts(due, _after(month)):
            yield Charge(
                charge_period_start=midnight(part.start),
                charge_period_end=midnight(part.end),
                billing_currency=figure.currency,
                billed_cost=part.amount,
                x_origin="manual",
                service_name=service,
                service_provider_name=self._vendor.title,
                charge_category="Credit" if figure.amount < 0 else "Usage",
                charge_description=figure.note,
                service_category=self._vendor.category,
            )


def _by_month(entries: Sequence[Entry]) -> dict[date, list[Entry]]:
    months: dict[date, list[Entry]] = defaultdict(list)
    for entry in entries:
        months[entry.key.month].append(entry)
    return dict(months)


def _after(month: date) -> date:
    return (month + 31 * DAY).replace(day=1)


def _before(month: date) -> date:
    return (month - DAY).replace(day=1)
