"""PlanetScale: the lines of an organization's invoices, by database, branch and metric.

Money comes from `GET /v1/organizations/{organization}/invoices` and each invoice's `/line-items`. The open period is
read from its own invoice for as long as PlanetScale lists one; beyond the last invoice nothing is known, and nothing
is read. An invoice counts, whole, in the UTC month in which its period begins.
Facts: planetscale.com/docs/api/reference.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import ClassVar, Final, TypeVar
from urllib.parse import quote

from pydantic import Field

from ledger.charge import Charge
from ledger.money import EXACT, ZERO
from ledger.window import DAY, Span, Window, midnight, next_month
from reconciler.connectors.base import Account, Connector, Context, CredentialKey, Settings, Traits
from reconciler.connectors.http import Refused, pages
from reconciler.connectors.planetscale.bill import PROVIDER, line, rest
from reconciler.connectors.planetscale.refusal import TOKEN, explained
from reconciler.connectors.planetscale.report import Invoice, Invoices, Items, Listing
from reconciler.connectors.reading import Answer, read
from reconciler.errors import Bug, RetryLater

MOST_ROWS: Final = 100
"""Rows that one page may hold."""
NO_INVOICE: Final = "PlanetScale lists no invoice yet: nothing is read until there is one."

A = TypeVar("A", bound=Answer)
P = TypeVar("P", bound=Listing)


class PlanetScaleSettings(Settings):
    """The block `spec.planetscale` of a Provider."""

    organization: str = Field(
        description="Name of the organization whose invoices are read, as it stands in the dashboard's address.",
        min_length=1,
        max_length=256,
        pattern=r"^[A-Za-z0-9_.-]+$",
    )
    base_url: str = Field(
        default="https://api.planetscale.com",
        alias="baseURL",
        description="Address of the API, without /v1. Change it only for a proxy in front of api.planetscale.com.",
        max_length=2048,
        pattern=r"^https?://\S+$",
    )


class PlanetScale(Connector[PlanetScaleSettings]):
    """Reads invoices, the open one included where it is listed."""

    Settings = PlanetScaleSettings
    traits: ClassVar[Traits] = Traits(
        type="planetscale",
        title=PROVIDER,
        origin="api",
        gives="Invoice lines by database, branch and metric, with credits and discounts.",
        grain="Month",
        reach=None,
        settling=timedelta(days=1),
        moving=timedelta(days=45),
        rate_limit="600 calls a minute",
        credentials=(
            CredentialKey("apiKey", TOKEN),
            CredentialKey("tokenID", "the id of the service token, which PlanetScale shows beside it"),
        ),
    )

    def __init__(self, settings: PlanetScaleSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._token = context.credentials["apiKey"].strip()
        self.http.hide(self._token)
        self.http.authorise({"Authorization": f"{context.credentials['tokenID'].strip()}:{self._token}"})
        self._path = f"/v1/organizations/{quote(settings.organization, safe='')}/invoices"
        self._listed: Sequence[Invoice] | None = None

    async def check(self) -> Account:
        """Read one invoice, which takes the access that all of them take."""
        page = await self._ask(Invoices, self._path, {"page": "1", "per_page": "1"})
        return Account(id=self.settings.organization, notes=() if page.data else (NO_INVOICE,))

    async def windows(self, due: Sequence[Span], history: Span) -> list[Window]:
        """The months that hold what is due, newest first, as far as invoices reach: beyond, nothing is known."""
        known = max((invoice.billing_period_end for invoice in await self._invoices()), default=None)
        if known is None:
            return []
        end = min(midnight(self.context.now.date()) + DAY, known)
        months = sorted({month for span in due for month in span.months() if month < end}, reverse=True)
        return [Window(Span(month, min(next_month(month), end))) for month in months]

    async def charges(self, window: Window) -> AsyncIterator[Sequence[Charge]]:
        """The lines of every invoice whose period begins in the window."""
        for invoice in await self._invoices():
            if window.start <= invoice.billing_period_start < window.end:
                async for batch in self._lines(invoice):
                    yield batch

    async def _lines(self, invoice: Invoice) -> AsyncIterator[Sequence[Charge]]:
        """A charge for each line, and one for what the lines leave of the invoice's total."""
        path = f"{self._path}/{quote(invoice.id, safe='')}"
        own, elsewhere = ZERO, ZERO
        seen: set[str] = set()
        async for page in self._pages(Items, f"{path}/line-items"):
            _note([item.id for item in page.data if item.id], seen, "line")
            own = _sum(own, (item.subtotal for item in page.data if not item.cloudflare_billed))
            elsewhere = _sum(elsewhere, (item.subtotal for item in page.data if item.cloudflare_billed))
            yield [line(item, invoice, self.settings.organization) for item in page.data]
        if invoice.total not in (own, EXACT.add(own, elsewhere)):
            if (await self._ask(Invoice, path)).total != invoice.total:
                raise RetryLater(f"PlanetScale's invoice {invoice.id} changed while it was read.")
            yield [rest(EXACT.subtract(invoice.total, own), invoice, self.settings.organization)]

    async def _invoices(self) -> Sequence[Invoice]:
        """All invoices there are, asked for once a sync."""
        if self._listed is None:
            listed = [invoice async for page in self._pages(Invoices, self._path) for invoice in page.data]
            _note([invoice.id for invoice in listed], set(), "invoice")
            wrong = [each.id for each in listed if each.billing_period_end <= each.billing_period_start]
            if wrong:
                raise Bug(f"PlanetScale's invoice {wrong[0]} ends before it begins.")
            self._listed = listed
        return self._listed

    def _pages(self, kind: type[P], path: str) -> AsyncIterator[P]:
        async def fetch(number: int | None) -> tuple[P, int | None]:
            page = await self._ask(kind, path, {"page": str(number or 1), "per_page": str(MOST_ROWS)})
            return page, page.next_page

        return pages(fetch)

    async def _ask(self, kind: type[A], path: str, params: Mapping[str, str] | None = None) -> A:
        try:
            return read(kind, await self.http.json("GET", path, params=params), PROVIDER)
        except Refused as refused:
            raise explained(refused, self._token) from None


def _note(ids: Sequence[str], seen: set[str], kind: str) -> None:
    """Add `ids` to those seen. Raises Bug when one comes a second time: the pages overlap."""
    for each in ids:
        if each in seen:
            raise Bug(f"PlanetScale answered with {kind} {each} twice.", reason="CursorLoop")
        seen.add(each)


def _sum(total: Decimal, amounts: Iterator[Decimal]) -> Decimal:
    for amount in amounts:
        total = EXACT.add(total, amount)
    return total
