"""Railway: what a workspace uses by day, project and service, at Railway's prices, and what its plan costs.

Usage comes from the GraphQL query `usage`, which has no days: each day is a part of the question. Money is usage times
a dated price list (origin estimate), the plan's fee, less the usage that the fee includes. Amounts of invoices are told
in a unit that is documented nowhere; once somebody has looked which it is, they close each period's difference.
Facts: docs.railway.com and the official command line, github.com/railwayapp/cli.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Final, Literal

from pydantic import Field

from ledger.charge import Charge
from ledger.money import ZERO, plain
from ledger.recurrence import Entry, periods
from ledger.window import DAY, Span, Window, midnight
from reconciler.connectors.base import BATCH, Account, Connector, Context, CredentialKey, Traits
from reconciler.connectors.http import Refused
from reconciler.connectors.pricing import PricedSettings
from reconciler.connectors.railway import bill, question
from reconciler.connectors.railway.refusal import GUIDE, NO_SUCH, TOKEN, explained, failed
from reconciler.connectors.railway.report import (
    Days,
    Envelope,
    Invoice,
    InvoicesAnswer,
    NamesAnswer,
    Used,
    Workspace,
    WorkspaceAnswer,
)
from reconciler.connectors.reading import read
from reconciler.errors import Bug, NeedsPerson

REACH: Final = timedelta(days=90)
DAYS_AT_ONCE: Final = 8
UNBILLED: Final = frozenset({"draft", "void", "uncollectible", "deleted"})
UNITS: Final = {"Cents": Decimal(100), "Dollars": Decimal(1)}
PATH: Final = "/graphql/v2"


class RailwaySettings(PricedSettings):
    """The block `spec.railway` of a Provider."""

    workspace_id: str = Field(
        alias="workspaceID",
        description="Id of the workspace, from its settings: a UUID.",
        min_length=1,
        max_length=64,
        pattern=r"^[A-Za-z0-9-]+$",
    )
    invoices: Literal["Ignore", "Cents", "Dollars"] = Field(
        default="Ignore",
        description="Whether invoices correct the estimates of periods that are over, and in which unit Railway tells "
        "their totals: it documents none. Compare one invoice first; the guide says how.",
    )
    base_url: str = Field(
        default="https://backboard.railway.com",
        alias="baseURL",
        description="Address of the API, without /graphql/v2. Change it only for a proxy in front of it.",
        max_length=2048,
        pattern=r"^https?://\S+$",
    )


class Railway(Connector[RailwaySettings]):
    """Reads usage by billing period, day by day."""

    Settings = RailwaySettings
    traits: ClassVar[Traits] = Traits(
        type="railway",
        title="Railway",
        origin="estimate",
        gives="Usage at list prices per day, project, service and environment, the plan's fee and what it includes.",
        grain="Day",
        reach=REACH,
        settling=timedelta(days=1),
        moving=timedelta(days=7),
        rate_limit="100 calls an hour (Free), 1,000 (Hobby) or 10,000 (Pro)",
        credentials=(CredentialKey("apiKey", TOKEN),),
    )

    def __init__(self, settings: RailwaySettings, context: Context) -> None:
        super().__init__(settings, context)
        self.http.authorise({"Authorization": f"Bearer {context.credentials['apiKey'].strip()}"})
        self._tariff = settings.tariff("railway")
        self._workspace: Workspace | None = None
        self._names: Mapping[str, str] | None = None
        self._billed: Sequence[Invoice] | None = None

    async def check(self) -> Account:
        """Read the workspace, yesterday's usage, and the newest invoice, which shows what unit invoices are in."""
        known = await self._known()
        today = midnight(self.context.now.date())
        await self._usage([Span(today - DAY, today)])
        return Account(known.id or self.settings.workspace_id, known.name, await self._shown())

    async def windows(self, due: Sequence[Span], history: Span) -> list[Window]:
        """Whole billing periods that Railway still tells, newest first; the open one until tonight."""
        tonight = midnight(self.context.now.date()) + DAY
        known = [Span(each.start, min(each.end, tonight)) for each in reversed(await self._periods())]
        return [Window(each) for each in known if any(each.overlaps(span) for span in due)]

    async def charges(self, window: Window) -> AsyncIterator[Sequence[Charge]]:
        """The period's usage, the fee, what it includes, and what invoices add."""
        account = self.settings.workspace_id
        period = await self._period(window.span)
        usage = [charge async for charge in self._used(window.span)]
        paid = bill.fee(self.settings.plan, await self._known(), period, account, self._tariff)
        lines = [*usage, *paid, *bill.included(usage, paid, account)]
        lines += await self._difference(period, lines)
        for place in range(0, len(lines), BATCH):
            yield lines[place : place + BATCH]

    async def _period(self, span: Span) -> Span:
        """The whole billing period that begins with `span`, however far it has come."""
        return next((each for each in await self._periods() if each.start == span.start), span)

    async def _periods(self) -> list[Span]:
        """The billing periods within reach, oldest first: months that begin on the day on which the current one does.

        Where that month is too short for the day, the current period's other end tells it.
        """
        customer = (await self._known()).customer
        told = customer.billing_period if customer else None
        today = self.context.now.date()
        first = today - REACH
        day = max(told.start.day, told.end.day) if told else 1
        anchor = Entry(ZERO, "USD", _anchor(first, day), recurrence="Monthly")
        return [Span.of_days(start, end) for start, end in periods(anchor, today) if start >= first]

    async def _used(self, span: Span) -> AsyncIterator[Charge]:
        now = self.context.now
        days = [Span(each.start, min(each.end, now)) for each in span.pieces() if each.start < now]
        for place in range(0, len(days), DAYS_AT_ONCE):
            some = days[place : place + DAYS_AT_ONCE]
            for day, told in zip(some, await self._usage(some), strict=True):
                whole = Span(day.start, day.start + DAY)
                for each in told:
                    names = await self._known_names()
                    yield bill.used(each, whole, names, self.settings.workspace_id, self._tariff)

    async def _usage(self, days: Sequence[Span]) -> list[Sequence[Used]]:
        text, variables = question.usage(self.settings.workspace_id, days)
        told = read(Days, {"days": await self._ask(text, variables)}, "Railway").days
        if told.keys() != {f"day{number}" for number in range(len(days))}:
            raise Bug("Railway answered with other days than it was asked for.")
        return [told[f"day{number}"] for number in range(len(days))]

    async def _difference(self, period: Span, lines: Sequence[Charge]) -> list[Charge]:
        """What the invoices of a period that is over change, where the settings say how to read them."""
        unit = UNITS.get(self.settings.invoices)
        if unit is None or period.end > self.context.now:
            return []
        invoices = await self._invoices()
        mine = [each for each in invoices if period.start <= each.period_start < period.end and each.is_of_a_period]
        like = bill.blank(period, self.settings.workspace_id)
        return list(bill.difference(mine, unit, like, lines)) if mine else []

    async def _shown(self) -> tuple[str, ...]:
        """The newest invoice as it is told, for a person to compare; nothing where none can be read nor has to be."""
        try:
            newest = max(await self._invoices(), key=lambda each: each.period_end, default=None)
        except (Bug, NeedsPerson):
            if self.settings.invoices != "Ignore":
                raise
            return ()
        return (f"Railway tells invoice {newest.invoice_id} with the total {plain(newest.total)}.",) if newest else ()

    async def _invoices(self) -> Sequence[Invoice]:
        """All invoices that were sent, asked for once a sync."""
        if self._billed is None:
            told = read(InvoicesAnswer, await self._ask(question.INVOICES), "Railway").workspace
            listed = told.customer.invoices if told and told.customer else []
            self._billed = [each for each in listed if (each.status or "").lower() not in UNBILLED]
        return self._billed

    async def _known(self) -> Workspace:
        """The workspace, asked for once a sync."""
        if self._workspace is None:
            self._workspace = read(WorkspaceAnswer, await self._ask(question.WORKSPACE), "Railway").workspace
        if self._workspace is None:
            raise NeedsPerson(f"{NO_SUCH} {GUIDE}", reason="NotFound")
        return self._workspace

    async def _known_names(self) -> Mapping[str, str]:
        """Names of projects and services, asked for once a sync, and only where something was used."""
        if self._names is None:
            self._names = dict(read(NamesAnswer, await self._ask(question.NAMES), "Railway").names())
        return self._names

    async def _ask(self, query: str, variables: Mapping[str, Any] | None = None) -> Any:
        """The answer's data. A question changes nothing, so that it may be asked again."""
        body = {"query": query, "variables": variables or {"workspace": self.settings.workspace_id}}
        try:
            answer = read(Envelope, await self.http.json("POST", PATH, body=body, retry=True), "Railway")
        except Refused as refused:
            raise explained(refused) from None
        if answer.errors:
            raise failed(answer.errors)
        return answer.data


def _anchor(before: date, day: int) -> date:
    """The `day` of a month before `before`, of one that has such a day."""
    month = before.replace(day=1)
    while True:
        month = (month - DAY).replace(day=1)
        if monthrange(month.year, month.month)[1] >= day:
            return month.replace(day=day)
