"""Stripe: what an account pays in fees, transaction by transaction.

Money comes from `GET /v1/balance_transactions`: the fee that each payment, refund, dispute or payout carries, and the
transactions that are fees themselves. What customers pay is no cost and is never stored.
Facts: docs.stripe.com/api/balance_transactions and the official SDK.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import ClassVar, Final

from pydantic import Field

from ledger.charge import Charge
from ledger.window import DAY, Window
from reconciler.connectors.base import BATCH, Account, Connector, Context, CredentialKey, Settings, Traits
from reconciler.connectors.http import Refused, pages
from reconciler.connectors.reading import read
from reconciler.connectors.stripe.bill import charges
from reconciler.connectors.stripe.refusal import KEY, explained, wrong_kind
from reconciler.connectors.stripe.transaction import Page
from reconciler.errors import Bug

TRANSACTIONS: Final = "/v1/balance_transactions"
API_VERSION: Final = "2024-06-20"
"""Stripe keeps answering in a version's form for as long as it is asked for by name."""
MOST_ROWS: Final = 100
"""Transactions that one answer may hold."""

Params = list[tuple[str, str]]


class StripeSettings(Settings):
    """The block `spec.stripe` of a Provider."""

    base_url: str = Field(
        default="https://api.stripe.com",
        alias="baseURL",
        description="Address of the API, without /v1. Change it only for a proxy in front of api.stripe.com.",
        max_length=2048,
        pattern=r"^https?://\S+$",
    )
    account: str | None = Field(
        default=None,
        description="Id (acct_...) of a connected account whose fees are read with the platform's key. Without it the "
        "key's own account is read.",
        min_length=6,
        max_length=256,
        pattern=r"^acct_[A-Za-z0-9]+$",
    )


class Stripe(Connector[StripeSettings]):
    """Reads the fees of an account's balance transactions."""

    Settings = StripeSettings
    traits: ClassVar[Traits] = Traits(
        type="stripe",
        title="Stripe",
        origin="api",
        gives="Fees and the taxes on them, by balance transaction, product and currency; fees given back are negative.",
        grain="Line",
        reach=None,
        settling=timedelta(hours=6),
        moving=timedelta(days=7),
        longest_window=7 * DAY,
        rate_limit="25 requests a second for each endpoint",
        credentials=(CredentialKey("apiKey", KEY),),
    )

    def __init__(self, settings: StripeSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._key = context.credentials["apiKey"].strip()
        self.http.authorise({"Authorization": f"Bearer {self._key}"})

    async def check(self) -> Account:
        """Refuse keys of other kinds, and read one transaction: a restricted key may not be allowed to."""
        if (wrong := wrong_kind(self._key)) is not None:
            raise wrong
        await self._page([("limit", "1")])
        return Account(id=self.settings.account)

    async def charges(self, window: Window) -> AsyncIterator[Sequence[Charge]]:
        """The fees of every transaction that was created in the window."""
        batch: list[Charge] = []
        seen: set[str] = set()
        async for page in self._pages(window):
            for row in page.data:
                if not window.start <= row.created < window.end:
                    raise Bug(f"Stripe answered with a transaction of {row.created:%Y-%m-%d}, not asked for.")
                if row.id in seen:
                    raise Bug(f"Stripe answered with transaction {row.id} twice.", reason="CursorLoop")
                seen.add(row.id)
                batch += charges(row, self.settings.account)
            if len(batch) >= BATCH:
                yield batch
                batch = []
        if batch:
            yield batch

    def _pages(self, window: Window) -> AsyncIterator[Page]:
        """The window's transactions, newest first; a page begins after the last transaction of the one before."""
        params = [
            ("created[gte]", str(int(window.start.timestamp()))),
            ("created[lt]", str(int(window.end.timestamp()))),
            ("limit", str(MOST_ROWS)),
        ]

        async def fetch(after: str | None) -> tuple[Page, str | None]:
            page = await self._page(params if after is None else [*params, ("starting_after", after)])
            if page.has_more and not page.data:
                raise Bug("Stripe says that there are more transactions, and lists none.", reason="CursorLoop")
            return page, page.data[-1].id if page.has_more else None

        return pages(fetch)

    async def _page(self, params: Params) -> Page:
        account = {"Stripe-Account": self.settings.account} if self.settings.account else {}
        headers = {"Stripe-Version": API_VERSION, **account}
        try:
            return read(Page, await self.http.json("GET", TRANSACTIONS, params=params, headers=headers), "Stripe")
        except Refused as refused:
            raise explained(refused, self.settings.account) from None
