"""GitHub: what an organisation, an enterprise or a user is billed for, by day, SKU and repository.

Money comes from `GET .../settings/billing/usage` alone, a month at a time: it holds every product, Copilot's seats and
AI credits among them. `.../ai_credit/usage` tells the same credits by model and never changes a sum. Facts:
docs.github.com/rest/billing/usage, version 2026-03-10.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, ClassVar, Final, Literal

from pydantic import ConfigDict, Field

from ledger.charge import Charge
from ledger.window import DAY, Span, Window, midnight, month_start, whole_months
from reconciler.connectors.base import BATCH, Account, Connector, Context, CredentialKey, Settings, Traits
from reconciler.connectors.github.bill import by_model, charge
from reconciler.connectors.github.refusal import CLASSIC, NotAllowed, explained
from reconciler.connectors.github.report import (
    CREDITS,
    CostCenter,
    CostCenters,
    CreditItem,
    CreditReport,
    Report,
    UsageItem,
)
from reconciler.connectors.http import Refused
from reconciler.connectors.reading import read
from reconciler.connectors.rules import rules
from reconciler.errors import Bug

API_VERSION: Final = "2026-03-10"
HEADERS: Final = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": API_VERSION}
PLACES: Final = {"organization": "organizations", "enterprise": "enterprises", "user": "users"}
"""How the path to each kind of account begins; the older /orgs has no billing of all products."""

Kind = Literal["organization", "enterprise", "user"]


class GitHubSettings(Settings):
    """The block `spec.github` of a Provider."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!self.copilotModels || self.accountKind != 'enterprise'",
                "not for an enterprise, whose credits belong to several organisations",
            ),
            field="copilotModels",
        )
    )

    account: str = Field(
        description="Login of the organisation or user, or slug of the enterprise, that gets the bill.",
        min_length=1,
        max_length=100,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$",
    )
    account_kind: Kind = Field(
        default="organization",
        alias="accountKind",
        description="What the account is: organization, enterprise or user.",
    )
    copilot_models: bool = Field(
        default=False,
        alias="copilotModels",
        description="Whether to tell Copilot's AI credits by model: one more call for each day that has some. Not for "
        "an enterprise.",
    )
    base_url: str = Field(
        default="https://api.github.com",
        alias="baseURL",
        description="Address of the API. Change it only for a proxy in front of it.",
        max_length=2048,
        pattern=r"^https?://\S+$",
    )


class GitHub(Connector[GitHubSettings]):
    """Reads the usage report, month by month; of an enterprise, once for each cost centre."""

    Settings = GitHubSettings
    traits: ClassVar[Traits] = Traits(
        type="github",
        title="GitHub",
        origin="api",
        gives="List and billed cost per day, product, SKU, organisation and repository, with quantities; Copilot too.",
        grain="Day",
        reach=timedelta(days=730),
        settling=timedelta(days=1),
        moving=timedelta(days=5),
        rate_limit="5,000 calls an hour and token",
        credentials=(CredentialKey("token", CLASSIC),),
    )

    def __init__(self, settings: GitHubSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._key = context.credentials["token"].strip()
        self.http.authorise({"Authorization": f"Bearer {self._key}"})
        self._centers: Sequence[CostCenter | None] | None = None

    async def check(self) -> Account:
        """Read yesterday's usage, and of an enterprise its cost centres: without them figures would lack a part."""
        await self._usage(midnight(self.context.now.date()) - DAY, None, day=True)
        await self._cost_centers()
        return Account(self.settings.account, self.settings.account)

    async def windows(self, due: Sequence[Span], history: Span) -> list[Window]:
        """Whole months, which take one call each: so a month stays due until its last days have settled."""
        return whole_months(due, history)

    async def charges(self, window: Window) -> AsyncIterator[Sequence[Charge]]:
        """Every line of the window's days, of each cost centre and of none."""
        for center in await self._cost_centers():
            for month in window.span.months():
                items = [item for item in await self._usage(month, center) if _within(item, window)]
                items = await self._told_by_model(items) if self.settings.copilot_models else items
                for start in range(0, len(items), BATCH):
                    yield [charge(item, self.settings.account, center) for item in items[start : start + BATCH]]

    async def _usage(self, first: datetime, center: CostCenter | None, *, day: bool = False) -> list[UsageItem]:
        """The lines of `first`'s month, or day. Without a month, GitHub would sum up the days of each."""
        params = {**_period(first, day=day), "cost_center_id": center.id if center else None}
        items = read(Report, await self._ask("usage", params), "GitHub").usage_items
        month = month_start(first).date()
        other = next((item.date for item in items if item.date.replace(day=1) != month), None)
        if other is not None:
            raise Bug(f"GitHub answered with {other}, which it was not asked for.")
        return items

    async def _told_by_model(self, items: Sequence[UsageItem]) -> list[UsageItem]:
        credited = sorted((item for item in items if item.unit == CREDITS), key=lambda item: item.date)
        found = [item for item in items if item.unit != CREDITS]
        for day, lines in groupby(credited, key=lambda item: item.date):
            found += by_model(list(lines), await self._credits(midnight(day)))
        return found

    async def _credits(self, day: datetime) -> list[CreditItem]:
        """The day's AI credits by model; nothing where the token may not read them, since costs do not wait for it."""
        try:
            answer = await self._ask("ai_credit/usage", _period(day, day=True))
        except NotAllowed:
            return []
        return read(CreditReport, answer, "GitHub").usage_items

    async def _cost_centers(self) -> Sequence[CostCenter | None]:
        """What to ask the usage for: no cost centre, and each that an enterprise has; asked for once a sync."""
        if self.settings.account_kind != "enterprise":
            return (None,)
        if self._centers is None:
            answer = read(CostCenters, await self._ask("cost-centers", {}), "GitHub")
            self._centers = (None, *answer.cost_centers)
        return self._centers

    async def _ask(self, path: str, params: Mapping[str, str | int | None]) -> Any:
        kind, account = self.settings.account_kind, self.settings.account
        url = f"/{PLACES[kind]}/{account}/settings/billing/{path}"
        try:
            return await self.http.json("GET", url, params=params, headers=HEADERS)
        except Refused as refused:
            raise explained(refused, self._key, kind, account) from None


def _period(first: datetime, *, day: bool) -> Mapping[str, int]:
    month = {"year": first.year, "month": first.month}
    return {**month, "day": first.day} if day else month


def _within(item: UsageItem, window: Window) -> bool:
    return window.start <= midnight(item.date) < window.end
