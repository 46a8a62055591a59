"""MongoDB Atlas: the lines of an organization's invoices, by day, project, cluster and SKU.

Money comes from `GET /api/atlas/v2/orgs/{id}/invoices` and each invoice by its id; the running month is an invoice with
the status PENDING. The list is always asked for whole: its filters by date drop the running month when they do not
begin and end with it. Facts: mongodb.com/docs/api/doc/atlas-admin-api-v2 and the official SDK.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Final, TypeVar
from urllib.parse import quote

from pydantic import Field

from ledger.charge import Charge
from ledger.window import DAY, Span, Window, midnight, next_month
from reconciler.connectors.base import BATCH, Account, Connector, Context, CredentialKey, Settings, Traits
from reconciler.connectors.http import Form, Refused, pages
from reconciler.connectors.mongodbatlas.bill import OPEN, charges
from reconciler.connectors.mongodbatlas.refusal import ID, explained, mismatched
from reconciler.connectors.mongodbatlas.report import Invoice, Listed, Page, Pending, as_list
from reconciler.connectors.reading import Answer, read
from reconciler.errors import Bug

ROOT: Final = "/api/atlas/v2/orgs"
TOKEN: Final = "/api/oauth/token"
VERSION: Final = "application/vnd.atlas.2023-01-01+json"
"""Atlas keeps answering in a version's form for as long as it is asked for by name."""
MOST_ROWS: Final = 500
"""Invoices that one page may hold."""

A = TypeVar("A", bound=Answer)


class Token(Answer):
    """What a service account's secret is exchanged for; it lives an hour."""

    access_token: str = Field(min_length=1)


class MongoDBAtlasSettings(Settings):
    """The block `spec.mongodbatlas` of a Provider."""

    organization_id: str = Field(
        alias="organizationID",
        description="Id of the organization whose invoices are read: 24 hexadecimal digits, in its settings.",
        pattern=r"^[a-f0-9]{24}$",
        max_length=24,
    )
    base_url: str = Field(
        default="https://cloud.mongodb.com",
        alias="baseURL",
        description="Address of Atlas, without /api. https://cloud.mongodbgov.com is Atlas for Government.",
        max_length=2048,
        pattern=r"^https?://\S+$",
    )


class MongoDBAtlas(Connector[MongoDBAtlasSettings]):
    """Reads invoices, the pending one included."""

    Settings = MongoDBAtlasSettings
    traits: ClassVar[Traits] = Traits(
        type="mongodbatlas",
        title="MongoDB Atlas",
        origin="api",
        gives="Invoice lines by day, project, cluster and SKU, with credits, refunds and sales tax.",
        grain="Day",
        reach=None,
        settling=timedelta(days=2),
        moving=timedelta(days=31),
        rate_limit="a bucket of calls for each organization and kind of call, told in RateLimit-Limit",
        credentials=(
            CredentialKey("apiKey", "the secret of a service account (mdb_sa_sk_...), or an API key's private key"),
            CredentialKey("keyID", "the id of that service account (mdb_sa_id_...), or the API key's public key"),
        ),
    )

    def __init__(self, settings: MongoDBAtlasSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._id = context.credentials["keyID"].strip()
        self._secret = context.credentials["apiKey"].strip()
        self._path = f"{ROOT}/{settings.organization_id}/invoices"
        self._opened = False
        self._listed: Sequence[Listed] | None = None

    async def check(self) -> Account:
        """Read one invoice of the list, which takes the role that all of them take."""
        await self._ask(Page, self._path, {**self._params(1), "itemsPerPage": "1"})
        return Account(id=self.settings.organization_id)

    async def windows(self, due: Sequence[Span], history: Span) -> list[Window]:
        """The months that hold what is due, newest first, as far as invoices reach: beyond, nothing is known."""
        known = max((invoice.end for invoice in await self._invoices()), default=None)
        if known is None:
            return []
        end = min(midnight(self.context.now.date()) + DAY, known)
        months = sorted({month for span in due for month in span.months() if month < end}, reverse=True)
        return [Window(Span(month, min(next_month(month), end))) for month in months]

    async def charges(self, window: Window) -> AsyncIterator[Sequence[Charge]]:
        """Everything that the invoices of the window's month bill."""
        for listed in await self._invoices():
            if window.start <= listed.start < window.end:
                invoice = await self._ask(Invoice, f"{self._path}/{quote(listed.id, safe='')}")
                if (invoice.id, invoice.start) != (listed.id, listed.start):
                    raise Bug(f"Atlas answered with invoice {invoice.id} in place of {listed.id}.")
                lines = list(charges(invoice, window.span, self.settings.organization_id))
                for place in range(0, len(lines), BATCH):
                    yield lines[place : place + BATCH]

    async def _invoices(self) -> Sequence[Listed]:
        """All invoices of the organization, asked for once a sync; the pending one wherever Atlas lists it."""
        if self._listed is None:
            found: dict[str, Listed] = {}
            async for page in pages(self._page):
                for invoice in page.results:
                    if invoice.id in found:
                        raise Bug(f"Atlas lists invoice {invoice.id} twice.", reason="CursorLoop")
                    found[invoice.id] = invoice
            if not any(invoice.status == OPEN for invoice in found.values()):
                found = {each.id: each for each in await self._pending()} | found
            own = (None, self.settings.organization_id)
            self._listed = [invoice for invoice in found.values() if invoice.org_id in own]
        return self._listed

    async def _page(self, number: int | None) -> tuple[Page, int | None]:
        page = await self._ask(Page, self._path, self._params(number or 1))
        more = page.has_next or len(page.results) >= MOST_ROWS
        return page, (number or 1) + 1 if more else None

    async def _pending(self) -> Sequence[Listed]:
        return read(Pending, as_list(await self._answer(f"{self._path}/pending", None)), "Atlas").results

    @staticmethod
    def _params(page: int) -> dict[str, str]:
        """A page of the organization's own invoices; those of linked organizations are read by Providers of theirs."""
        return {"itemsPerPage": str(MOST_ROWS), "pageNum": str(page), "viewLinkedInvoices": "false"}

    async def _ask(self, kind: type[A], path: str, params: Mapping[str, str] | None = None) -> A:
        return read(kind, await self._answer(path, params), "Atlas")

    async def _answer(self, path: str, params: Mapping[str, str] | None) -> Any:
        try:
            await self._open()
            return await self.http.json("GET", path, params=params, headers={"Accept": VERSION})
        except Refused as refused:
            raise explained(refused) from None

    async def _open(self) -> None:
        """Have requests authorised: by a token of the service account, or by digests of the API key."""
        if self._opened:
            return
        if (wrong := mismatched(self._id, self._secret)) is not None:
            raise wrong
        if self._id.startswith(ID):
            pair = b64encode(f"{self._id}:{self._secret}".encode()).decode()
            self.http.hide(pair)
            headers = {"Authorization": f"Basic {pair}"}
            form = Form(grant_type="client_credentials")
            token = read(Token, await self.http.json("POST", TOKEN, body=form, headers=headers, retry=True), "Atlas")
            self.http.authorise({"Authorization": f"Bearer {token.access_token}"})
        else:
            self.http.digest(self._id, self._secret)
        self._opened = True
