"""DigitalOcean: what a team is billed for.

A month that has its invoice is read from it: every item, and what only its summary has. Any other month is read from
the billing insights, which say by how much each night's estimate of the invoice grew: an estimate, which the invoice
replaces as a whole once it is made, on the first of the month after.
Facts: docs.digitalocean.com/reference/api and the specification, github.com/digitalocean/openapi.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, timedelta
from typing import ClassVar, Final, TypeVar
from urllib.parse import quote

from pydantic import Field

from ledger.charge import Charge
from ledger.money import EXACT, ZERO
from ledger.window import DAY, Span, Window, midnight, next_month
from reconciler.connectors.base import BATCH, Account, Connector, Context, CredentialKey, Settings, Traits
from reconciler.connectors.digitalocean.bill import beside, estimated, invoiced
from reconciler.connectors.digitalocean.refusal import NO_TEAM, TOKEN, NoSuch, NotAllowed, explained
from reconciler.connectors.digitalocean.report import (
    Balance,
    Insights,
    Invoice,
    Invoices,
    Items,
    Owner,
    Point,
    Summary,
    Team,
)
from reconciler.connectors.http import Refused, pages
from reconciler.connectors.reading import Answer, read
from reconciler.errors import Bug, NeedsPerson

BALANCE: Final = "/v2/customers/my/balance"
INVOICES: Final = "/v2/customers/my/invoices"
ACCOUNT: Final = "/v2/account"
MOST_ROWS: Final = 200
"""Rows that one page may hold."""
MOST_DAYS: Final = 16
"""Days of insights asked for at a time, which allow 31: few enough that a day beside them can be asked for, too."""
INSIGHTS_SINCE: Final = date(2025, 12, 1)
"""The first day with insights, as seen by those who asked; earlier months have invoices alone."""

A = TypeVar("A", bound=Answer)
P = TypeVar("P", Invoices, Items, Insights)


class DigitalOceanSettings(Settings):
    """The block `spec.digitalocean` of a Provider."""

    base_url: str = Field(
        default="https://api.digitalocean.com",
        alias="baseURL",
        description="Address of the API, without /v2. Change it only for a proxy in front of api.digitalocean.com.",
        max_length=2048,
        pattern=r"^https?://\S+$",
    )
    team_urn: str | None = Field(
        default=None,
        alias="teamURN",
        description="The team (do:team:...) or organization (do:teamgroup:...) whose daily estimates are read. Without "
        "it the token's own team, which takes the scope account:read.",
        min_length=1,
        max_length=256,
        pattern=r"^do:(team|teamgroup):[A-Za-z0-9-]+$",
    )


class DigitalOcean(Connector[DigitalOceanSettings]):
    """Reads invoices, and estimates of the months that have none yet."""

    Settings = DigitalOceanSettings
    traits: ClassVar[Traits] = Traits(
        type="digitalocean",
        title="DigitalOcean",
        origin="api",
        gives=(
            "Invoice items by product, project and resource, with taxes and credits; until the invoice is made, daily "
            "estimates by SKU and region."
        ),
        grain="Day",
        reach=None,
        settling=timedelta(days=1),
        moving=timedelta(days=31),
        rate_limit="250 calls a minute and 5,000 an hour",
        credentials=(CredentialKey("apiKey", TOKEN),),
    )

    def __init__(self, settings: DigitalOceanSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._token = context.credentials["apiKey"].strip()
        self.http.authorise({"Authorization": f"Bearer {self._token}"})
        self._listed: Sequence[Invoice] | None = None
        self._known_team: Team | None = None

    async def check(self) -> Account:
        """Read the balance, which takes the same scope as invoices, the team, and a day of its estimates."""
        await self._ask(Balance, BALANCE)
        urn = await self._needed_urn()
        today = midnight(self.context.now.date())
        async for _ in self._points(Span(today - DAY, today), urn):
            pass
        return Account(id=urn, name=self._known_team.name if self._known_team else None)

    async def windows(self, due: Sequence[Span], history: Span) -> list[Window]:
        """The months that hold what is due, whole because an invoice is, newest first; the open one until tonight."""
        end = midnight(self.context.now.date()) + DAY
        months = sorted({month for span in due for month in span.months() if month < end}, reverse=True)
        return [Window(Span(month, min(next_month(month), end))) for month in months]

    async def charges(self, window: Window) -> AsyncIterator[Sequence[Charge]]:
        """The month's invoices, all of them; without one, what its days are estimated at."""
        made = [each for each in await self._invoices() if each.invoice_period == f"{window.start:%Y-%m}"]
        for invoice in made:
            async for batch in self._invoiced(invoice, window.span):
                yield batch
        if not made:
            async for batch in self._estimated(window.span):
                yield batch

    async def _invoiced(self, invoice: Invoice, month: Span) -> AsyncIterator[Sequence[Charge]]:
        path = f"{INVOICES}/{quote(invoice.invoice_uuid, safe='')}"
        summary = await self._ask(Summary, f"{path}/summary")
        urn = await self._urn()
        total = ZERO
        async for page in self._pages(Items, path):
            for item in page.rows:
                total = EXACT.add(total, item.amount)
            yield [invoiced(item, invoice, month, urn) for item in page.rows]
        yield list(beside(total, summary, invoice, month, urn))

    async def _estimated(self, span: Span) -> AsyncIterator[Sequence[Charge]]:
        """Every day's estimate up to last night's."""
        today = midnight(self.context.now.date())
        start, end = max(span.start, midnight(INSIGHTS_SINCE)), min(span.end, today)
        while start < end:
            part = Span(start, min(start + MOST_DAYS * DAY, end))
            urn = await self._needed_urn()
            points: list[Point] = []
            try:
                async for page in self._points(part, urn):
                    points += page
            except NoSuch:
                if points or span.end > today:
                    raise  # a month that is over and has no invoice was not billed: days without insights cost nothing
            for place in range(0, len(points), BATCH):
                yield [estimated(point, urn) for point in points[place : place + BATCH]]
            start = part.end

    async def _points(self, span: Span, urn: str) -> AsyncIterator[Sequence[Point]]:
        """The estimates of the days of `span`, in pages.

        Whether the end of a range is part of it is not documented: the day after is asked for, and left out.
        """
        first, after = span.start.date(), span.end.date()
        path = f"/v2/billing/{quote(urn, safe='')}/insights/{first}/{after}"
        async for page in self._pages(Insights, path):
            if any(not first <= point.start_date <= after for point in page.rows):
                raise Bug("DigitalOcean answered with estimates of days that it was not asked for.")
            yield [point for point in page.data_points if point.start_date < after]

    async def _invoices(self) -> Sequence[Invoice]:
        """All invoices there are, asked for once a sync."""
        if self._listed is None:
            listed = [invoice async for page in self._pages(Invoices, INVOICES) for invoice in page.invoices]
            if len({invoice.invoice_uuid for invoice in listed}) < len(listed):
                raise Bug("DigitalOcean lists an invoice twice.", reason="CursorLoop")
            self._listed = listed
        return self._listed

    async def _needed_urn(self) -> str:
        urn = await self._urn()
        if urn is None:
            raise NeedsPerson(f"{NO_TEAM} {TOKEN}", reason="Forbidden")
        return urn

    async def _urn(self) -> str | None:
        """Whose bill it is; None where neither the settings nor the token tell."""
        if self.settings.team_urn is not None:
            return self.settings.team_urn
        if self._known_team is None:
            try:
                self._known_team = (await self._ask(Owner, ACCOUNT)).account.team or Team()
            except NotAllowed:  # invoices are complete without it
                self._known_team = Team()
        return f"do:team:{self._known_team.uuid}" if self._known_team.uuid else None

    async def _pages(self, kind: type[P], path: str) -> AsyncIterator[P]:
        """Every page of a list. Raises Bug when all together have not the rows that the list says it has."""
        found, total = 0, None

        async def fetch(number: int | None) -> tuple[P, int | None]:
            page = await self._ask(kind, path, {"page": str(number or 1), "per_page": str(MOST_ROWS)})
            return page, page.following

        async for page in pages(fetch):
            found, total = found + len(page.rows), page.total
            yield page
        if total is not None and found != total:
            raise Bug(f"DigitalOcean lists {total} rows at {path} and gave {found}: nothing of them is stored.")

    async def _ask(self, kind: type[A], path: str, params: Mapping[str, str] | None = None) -> A:
        try:
            return read(kind, await self.http.json("GET", path, params=params), "DigitalOcean")
        except Refused as refused:
            raise explained(refused, self._token) from None
