"""Datadog: what an account is billed for, by organisation and product.

A month that Datadog has closed, by the 16th of the month after, is read from `GET /api/v2/usage/historical_cost`. Until
then `GET /api/v2/usage/estimated_cost` tells, for every day, what the month came to by its end: each day is charged
what it added, as an estimate, which the closed month replaces as a whole.
Facts: docs.datadoghq.com/api/latest/usage-metering.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

from pydantic import Field

from ledger.charge import Charge
from ledger.window import DAY, Span, Window, midnight, month_start, next_month
from reconciler.connectors.base import BATCH, Account, Connector, Context, CredentialKey, Settings, Traits
from reconciler.connectors.datadog.bill import daily, monthly
from reconciler.connectors.datadog.report import Cost, Report, Validity
from reconciler.connectors.http import Refused
from reconciler.connectors.reading import read
from reconciler.errors import NeedsPerson

VALIDATE: Final = "/api/v1/validate"
HISTORICAL: Final = "/api/v2/usage/historical_cost"
ESTIMATED: Final = "/api/v2/usage/estimated_cost"
VIEW: Final = "sub-org"

GUIDE: Final = "See docs/connectors/datadog.md."
SITES: Final = "datadog.baseURL must be the API of the site on which the account is, such as https://api.datadoghq.eu."
NEEDED: Final = (
    "Costs are read with an API key and an application key of the parent organisation, whose owner (a service account, "
    f"best) has the permissions usage_read and billing_read. {GUIDE}"
)
UNKNOWN_API_KEY: Final = f"Datadog does not know the API key (apiKey): it is mistyped or revoked, or {SITES}"
UNKNOWN_KEYS: Final = (
    "Datadog accepts the API key, but refuses the application key (applicationKey): it is mistyped, revoked or of "
    "another organisation, is limited to other scopes, or its owner lacks usage_read or billing_read."
)
REFUSED: Final = f"Datadog refuses the two keys: one of them is wrong, or a permission is missing, or {SITES}"
CHILD: Final = "The keys are those of a child organisation; costs are told to the parent organisation alone."
NO_SUCH: Final = f"Datadog has no costs at this address: {SITES} {GUIDE}"


class DatadogSettings(Settings):
    """The block `spec.datadog` of a Provider."""

    base_url: str = Field(
        default="https://api.datadoghq.com",
        alias="baseURL",
        description="Address of the API of the account's site: https://api.datadoghq.com (US1), "
        "https://api.us3.datadoghq.com, https://api.us5.datadoghq.com, https://api.datadoghq.eu, "
        "https://api.ap1.datadoghq.com, https://api.ap2.datadoghq.com, https://api.uk1.datadoghq.com, "
        "https://api.ddog-gov.com or https://api.us2.ddog-gov.com.",
        max_length=2048,
        pattern=r"^https?://\S+$",
    )


class Datadog(Connector[DatadogSettings]):
    """Reads closed months, and the days of those that are not."""

    Settings = DatadogSettings
    traits: ClassVar[Traits] = Traits(
        type="datadog",
        title="Datadog",
        origin="api",
        gives="Cost by organisation, product and charge type: estimated by days, and by months once they are closed.",
        grain="Day",
        reach=None,
        settling=timedelta(hours=72),
        moving=timedelta(days=20),
        rate_limit="about 10 calls in 30 seconds, as others saw it; the answers tell",
        credentials=(
            CredentialKey("apiKey", "an API key of the parent organisation"),
            CredentialKey("applicationKey", "an application key with the scopes usage_read and billing_read"),
        ),
    )

    def __init__(self, settings: DatadogSettings, context: Context) -> None:
        super().__init__(settings, context)
        self.http.authorise(
            {
                "DD-API-KEY": context.credentials["apiKey"].strip(),
                "DD-APPLICATION-KEY": context.credentials["applicationKey"].strip(),
            }
        )

    async def check(self) -> Account:
        """Ask whether the API key is one, and read this month's estimate, which tells about the other key."""
        try:
            validity = read(Validity, await self.http.json("GET", VALIDATE), "Datadog")
        except Refused as refused:
            raise explained(refused, UNKNOWN_API_KEY) from None
        if not validity.valid:
            raise NeedsPerson(f"{UNKNOWN_API_KEY} {NEEDED}", reason="Unauthorized")
        costs = await self._ask(ESTIMATED, {"start_month": f"{self.context.now:%Y-%m}"}, UNKNOWN_KEYS)
        named = next((cost for cost in costs if cost.account_public_id or len(costs) == 1), None)
        if named is None:
            return Account()
        return Account(named.account_public_id or named.public_id, named.account_name or named.org_name)

    async def windows(self, due: Sequence[Span], history: Span) -> list[Window]:
        """The months that hold what is due, whole because a closed one is, newest first; the open one until tonight."""
        end = midnight(self.context.now.date()) + DAY
        months = sorted({month for span in due for month in span.months() if month < end}, reverse=True)
        return [Window(Span(month, min(next_month(month), end))) for month in months]

    async def charges(self, window: Window) -> AsyncIterator[Sequence[Charge]]:
        """The month as it was closed, or what its days are estimated at."""
        month = month_start(window.start)
        charges = await self._closed(month, window.span) or await self._open(month)
        for place in range(0, len(charges), BATCH):
            yield charges[place : place + BATCH]

    async def _closed(self, month: datetime, span: Span) -> list[Charge]:
        """The closed month; nothing as long as it is not, or where the account is younger."""
        if month == month_start(self.context.now):
            return []
        period = {"start_month": f"{month:%Y-%m}", "end_month": f"{next_month(month):%Y-%m}"}
        costs = await self._ask(HISTORICAL, {"view": VIEW, **period})
        return [charge for cost in _within(costs, month) for charge in monthly(cost, span)]

    async def _open(self, month: datetime) -> list[Charge]:
        """What the month's days, up to yesterday, are estimated at. Datadog estimates this month and the last."""
        end = min(next_month(month), midnight(self.context.now.date()))
        if end == month or next_month(next_month(month)) <= month_start(self.context.now):
            return []
        period = {"start_date": f"{month:%Y-%m-%d}", "end_date": f"{end:%Y-%m-%d}"}
        costs = await self._ask(ESTIMATED, {"view": VIEW, **period, "cost_aggregation": "cumulative"})
        return list(daily([cost for cost in _within(costs, month) if cost.at < end]))

    async def _ask(self, path: str, params: Mapping[str, str], words: str = REFUSED) -> Sequence[Cost]:
        try:
            return read(Report, await self.http.json("GET", path, params=params), "Datadog").costs
        except Refused as refused:
            raise explained(refused, words) from None


def _within(costs: Sequence[Cost], month: datetime) -> Sequence[Cost]:
    """The costs of the month: whether the end that was asked for is part of an answer is not clear."""
    return [cost for cost in costs if month_start(cost.at) == month]


def explained(refused: Refused, words: str) -> NeedsPerson:
    """The error to raise in the place of `refused`, which reads `{"errors": ["..."]}`; `words` say what 403 means."""
    said = _said(refused.body) or refused.text[:300]
    if "non-parent org" in said.lower():
        return NeedsPerson(f"{CHILD} {NEEDED} Datadog said: {said}", reason="Forbidden")
    if refused.status in (401, 403):
        return NeedsPerson(f"{words} {NEEDED} Datadog said: {said}", reason=refused.reason)
    if refused.status == 404:
        return NeedsPerson(f"{NO_SUCH} Datadog said: {said}", reason="NotFound")
    return NeedsPerson(f"Datadog refused the request ({refused.status}): {said} {GUIDE}", reason=refused.reason)


def _said(body: Any) -> str:
    errors = body.get("errors") if isinstance(body, Mapping) else None
    return "; ".join(map(str, errors))[:300] if isinstance(errors, list) else ""
