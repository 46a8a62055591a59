"""Cloudflare: what an account's usage costs by day, service and zone, and what its subscriptions cost.

Usage comes from `GET /accounts/{id}/billable-usage`, which is in alpha and answers by billing cycle: a range of days
must include the day on which a cycle begins, and one that has two of them has been seen to lose the one or the other.
So it is asked cycle by cycle. Fixed fees come from `GET /accounts/{id}/subscriptions`.
Facts: developers.cloudflare.com/api/resources/billing; what others saw, docs/connectors/cloudflare.md says.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar, Final, Literal, TypeVar

from pydantic import Field

from ledger.charge import Charge
from ledger.window import DAY, Span, Window, midnight, whole_months
from reconciler.connectors.base import BATCH, Account, Connector, Context, CredentialKey, Settings, Traits
from reconciler.connectors.cloudflare import fees
from reconciler.connectors.cloudflare.bill import charge
from reconciler.connectors.cloudflare.cycle import Cycles, cycles
from reconciler.connectors.cloudflare.refusal import NO_USAGE, TOKEN, NoUsage, explained
from reconciler.connectors.cloudflare.report import Info, Row, Subscription, Subscriptions, Usage
from reconciler.connectors.http import Refused
from reconciler.connectors.reading import Answer, read

PATHS: Final = (("/billable-usage/info", "/billable-usage"), ("/paygo-usage-info", "/paygo-usage"))
"""Where information and usage are, today and before: the alpha has moved."""
BY_HAND: Final = "Usage is not read (cloudflare.usage is Manual): enter what it costs as a ManualCost."

A = TypeVar("A", bound=Answer)


class CloudflareSettings(Settings):
    """The block `spec.cloudflare` of a Provider."""

    account_id: str = Field(
        alias="accountID",
        description="Id of the account, 32 hexadecimal digits: the first part of the dashboard's address.",
        min_length=1,
        max_length=64,
        pattern=r"^[A-Za-z0-9]+$",
    )
    usage: Literal["Billed", "Manual"] = Field(
        default="Billed",
        description="Billed reads what usage costs, where Cloudflare tells that: for self-serve accounts, in alpha. "
        "Manual reads subscriptions alone; what usage costs is entered as a ManualCost.",
    )
    base_url: str = Field(
        default="https://api.cloudflare.com",
        alias="baseURL",
        description="Address of the API, without /client/v4. Change it only for a proxy in front of it.",
        max_length=2048,
        pattern=r"^https?://\S+$",
    )


class Cloudflare(Connector[CloudflareSettings]):
    """Reads billable usage by cycles, and subscriptions."""

    Settings = CloudflareSettings
    traits: ClassVar[Traits] = Traits(
        type="cloudflare",
        title="Cloudflare",
        origin="api",
        gives="Cost of usage per day, service and zone (alpha, self-serve accounts), and fees of subscriptions.",
        grain="Day",
        reach=None,
        settling=timedelta(days=2),
        moving=timedelta(days=35),
        rate_limit="1,200 calls in five minutes, over all of a user's tokens",
        credentials=(CredentialKey("apiKey", TOKEN),),
    )

    def __init__(self, settings: CloudflareSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._token = context.credentials["apiKey"].strip()
        self.http.authorise({"Authorization": f"Bearer {self._token}"})
        self._root = f"/client/v4/accounts/{settings.account_id}"
        self._subscriptions: Sequence[Subscription] | None = None
        self._cycles: Sequence[Cycles] | None = None
        self._usage_path = ""
        self._answered: dict[Span, Sequence[Row]] = {}

    async def check(self) -> Account:
        """Read the subscriptions, which takes the permission that all takes, and whether usage is told."""
        await self._fees()
        if self.settings.usage == "Manual":
            return Account(id=self.settings.account_id, notes=(BY_HAND,))
        await self._known_cycles()
        return Account(id=self.settings.account_id)

    async def windows(self, due: Sequence[Span], history: Span) -> list[Window]:
        """Whole billing cycles, or months where usage is not read, newest first; the open one until tonight."""
        tonight = midnight(self.context.now.date()) + DAY
        remembered = {fees.MEMORY: await self._fees()}
        spans = [Span(span.start, min(span.end, tonight)) for span in await self._spans(due, history, tonight)]
        new = remembered if remembered[fees.MEMORY] != self.context.memory.get(fees.MEMORY, {}) else {}
        return [Window(span, remember={} if number else new) for number, span in enumerate(spans)]

    async def charges(self, window: Window) -> AsyncIterator[Sequence[Charge]]:
        """The fees of the window's days, and the usage of every cycle that touches it."""
        batch = list(fees.charges(await self._fees(), window.span, self.settings.account_id))
        if self.settings.usage == "Billed":
            batch += [charge(row, self.settings.account_id) for row in await self._rows(window.span)]
        for place in range(0, len(batch), BATCH):
            yield batch[place : place + BATCH]

    async def _spans(self, due: Sequence[Span], history: Span, tonight: datetime) -> Sequence[Span]:
        if self.settings.usage == "Manual":
            return [window.span for window in whole_months(due, history) if window.start < tonight]
        main = (await self._known_cycles())[0]
        touched = {cycle for span in due for cycle in main.touching(span) if cycle.start < tonight}
        return sorted(touched, reverse=True)

    async def _fees(self) -> dict[str, fees.Fee]:
        if self._subscriptions is None:
            self._subscriptions = (await self._ask(Subscriptions, "/subscriptions")).result
        return fees.known(self.context.memory, self._subscriptions, self.context.now)

    async def _rows(self, span: Span) -> Sequence[Row]:
        """The rows of `span`, each from the cycle that its own subscription is billed by."""
        every = await self._known_cycles()
        named = frozenset(identity for each in every for identity in each.ids)
        found: list[Row] = []
        for each in every:
            mine = each.ids if each is not every[0] else frozenset({*each.ids, None})
            for cycle in each.touching(span):
                if each is every[0] or each.bill(cycle):
                    found += _of(await self._cycle(cycle), cycle, span, mine, named)
        return found

    async def _cycle(self, cycle: Span) -> Sequence[Row]:
        """What Cloudflare answers for a cycle, from its first day to its last, or to today."""
        if cycle not in self._answered:
            last = min(cycle.end - DAY, midnight(self.context.now.date()))
            params = {"from": f"{cycle.start:%Y-%m-%d}", "to": f"{last:%Y-%m-%d}"}
            self._answered[cycle] = (await self._ask(Usage, self._usage_path, params, usage=True)).result
        return self._answered[cycle]

    async def _known_cycles(self) -> Sequence[Cycles]:
        """The account's billing cycles, asked for once a sync. Raises NoUsage where usage is not told."""
        if self._cycles is None:
            coverage = (await self._info()).result
            if not coverage.covered:
                raise NoUsage(f"{NO_USAGE} Cloudflare said: the account is not covered.")
            self._cycles = cycles(coverage.subscriptions)
        return self._cycles

    async def _info(self) -> Info:
        """What is told of usage, at the address of today or at that of before."""
        for info, usage in PATHS[:-1]:
            try:
                self._usage_path = usage
                return await self._ask(Info, info, usage=True)
            except NoUsage as error:
                if error.reason != "NotFound":
                    raise
        info, self._usage_path = PATHS[-1]
        return await self._ask(Info, info, usage=True)

    async def _ask(
        self, kind: type[A], path: str, params: Mapping[str, str] | None = None, *, usage: bool = False
    ) -> A:
        """Cloudflare's answer. The subscriptions are read first: what is refused after them is refused as `usage`."""
        try:
            return read(kind, await self.http.json("GET", f"{self._root}{path}", params=params), "Cloudflare")
        except Refused as refused:
            raise explained(refused, self._token, usage=usage) from None


def _of(
    rows: Sequence[Row], cycle: Span, span: Span, mine: frozenset[str | None], named: frozenset[str]
) -> Iterator[Row]:
    """The rows of `cycle` and `span` that belong to the cycles asked for.

    Days beside the cycle have been seen in answers; they are read with their own. A row of no known subscription
    belongs where None does.
    """
    for row in rows:
        inside = all(each.start <= row.charge_period_start < each.end for each in (cycle, span))
        if inside and (row.subscription_id if row.subscription_id in named else None) in mine:
            yield row
