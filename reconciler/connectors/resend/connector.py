"""Resend: what a team's emails cost beyond what its plan includes. An estimate: Resend tells usage, not money.

Emails come from `GET /emails/metrics`, by UTC day and domain; how many the plan includes, and how many count against it
this month, from `GET /usage`, which not every team has. Days older than the team's plan keeps are cut off in silence:
the answer's own start tells, and what came before in the month is then remembered from earlier syncs.
Facts: resend.com/docs/api-reference and github.com/resend/resend-openapi.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar, Final, TypeVar

from pydantic import Field

from ledger.charge import Charge
from ledger.money import plain
from ledger.window import DAY, Span, Window, midnight, month_start, next_month
from reconciler.connectors.allowance import beyond
from reconciler.connectors.base import BATCH, Account, Connector, Context, CredentialKey, Traits
from reconciler.connectors.http import Refused
from reconciler.connectors.pricing import PricedSettings, fees
from reconciler.connectors.reading import Answer, read
from reconciler.connectors.resend.report import Metrics, Quota, Row, Usage
from reconciler.errors import Bug, NeedsPerson

METRICS: Final = "/emails/metrics"
USAGE: Final = "/usage"
SKU: Final = "transactional_overage"
PROVIDER: Final = "Resend"
REMEMBERED: Final = "emails of "
"""How names of what is remembered begin: the emails of a month's days."""

KEY: Final = (
    "Emails are counted with an API key of permission Full access, made at https://resend.com/api-keys. See "
    "docs/connectors/resend.md."
)
ADVICE: Final = {
    "restricted_api_key": "The key has Sending access only.",
    "missing_api_key": "Resend saw no key.",
    "invalid_api_key": "Resend does not know the key: it is mistyped or deleted.",
}
BY_STATUS: Final = {
    401: "Resend does not accept the key: it is mistyped or deleted, or has Sending access only.",
    403: "Resend refuses the key: it is mistyped or deleted, or may not read metrics.",
    404: "Resend has no metrics at this address: check resend.baseURL.",
}

UNKNOWN_LIMIT: Final = "Resend does not say what the plan includes: set resend.includedEmails, or emails have no price"

A = TypeVar("A", bound=Answer)


class ResendSettings(PricedSettings):
    """The block `spec.resend` of a Provider."""

    included_emails: int | None = Field(
        default=None,
        alias="includedEmails",
        description="Emails, sent and received, that the plan includes each month. If absent, what Resend says, which "
        "it does not for every team: emails then have no price.",
        ge=0,
        le=1_000_000_000_000,
    )
    base_url: str = Field(
        default="https://api.resend.com",
        alias="baseURL",
        description="Address of the API. Change it only for a proxy in front of it.",
        max_length=2048,
        pattern=r"^https?://\S+$",
    )


class Resend(Connector[ResendSettings]):
    """Counts emails and prices those beyond the plan."""

    Settings = ResendSettings
    traits: ClassVar[Traits] = Traits(
        type="resend",
        title="Resend",
        origin="estimate",
        gives="Emails sent and received by day and domain; those beyond the plan are priced, and the plan's fee.",
        grain="Day",
        reach=None,
        settling=timedelta(hours=6),
        moving=timedelta(days=2),
        rate_limit="5 calls a second for a team",
        credentials=(CredentialKey("apiKey", "an API key (re_...) of permission Full access"),),
    )

    def __init__(self, settings: ResendSettings, context: Context) -> None:
        super().__init__(settings, context)
        self.http.authorise({"Authorization": f"Bearer {context.credentials['apiKey'].strip()}"})
        self._metrics: Metrics | None = None
        self._quota: Quota | None = None

    async def check(self) -> Account:
        """Read yesterday's emails, which takes full access, and what the plan includes, where Resend tells it."""
        today = midnight(self.context.now.date())
        await self._ask(Metrics, METRICS, _period(Span(today - DAY, today)))
        limit = (await self._monthly()).limit
        if limit is not None:
            return Account(notes=(f"the plan includes {plain(limit)} emails a month",))
        return Account(notes=() if self.settings.included_emails is not None else (UNKNOWN_LIMIT,))

    async def windows(self, due: Sequence[Span], history: Span) -> list[Window]:
        """The months that hold what is due, newest first, as far back as Resend keeps days; the open one until tonight.

        Each remembers how many emails its days had, for the time when they are no longer told.
        """
        end = midnight(self.context.now.date()) + DAY
        months = sorted({month for span in due for month in span.months() if month < end}, reverse=True)
        if not months:
            return []
        since = (await self._read(Span(months[-1], end))).whole_since
        spans = [(max(month, since), min(next_month(month), end), month) for month in months]
        return [
            Window(Span(start, end), remember={**self._forgotten(), **self._kept(month)})
            for start, end, month in spans
            if start < end
        ]

    async def charges(self, window: Window) -> AsyncIterator[Sequence[Charge]]:
        """Every day's emails by domain, and the plan's fee."""
        metrics = self._metrics or await self._read(Span(month_start(window.start), window.end))
        rows = [row for row in metrics.data if window.start <= midnight(row.period) < window.end]
        free = await self._free(window, sum((row.total for row in rows), Decimal(0)))
        charges = list(self._priced(rows, free))
        charges += fees(self.settings.plan, window.span, self._like(window.start))
        for place in range(0, len(charges), BATCH):
            yield charges[place : place + BATCH]

    def _priced(self, rows: Sequence[Row], free: Fraction | None) -> Iterator[Charge]:
        """Each domain's emails of a day; without a price where it is not known how many are free."""
        tariff = self.settings.tariff(PROVIDER.lower())
        counts = [(row, what, count) for row in rows for what, count in row.counts.items()]
        if free is None:
            yield from (self._emails(*each)._replace(billing_currency=tariff.currency) for each in counts)
            return
        used = [(midnight(row.period), Fraction(count)) for row, _, count in counts]
        for each, charged in zip(counts, beyond(used, free), strict=True):
            yield tariff.priced(self._emails(*each), charged)

    async def _free(self, window: Window, told: Decimal) -> Fraction | None:
        """How many of the `told` emails of the window are free; None where that cannot be known.

        What the month had before the window is taken off. For the month that runs, Resend's own count goes before: it
        holds emails to several recipients several times, which metrics may not.
        """
        quota, month = await self._monthly(), month_start(window.start)
        own = self.settings.included_emails
        included = quota.limit if own is None else Decimal(own)
        before = self._before(window)
        if quota.used is not None and month == month_start(self.context.now):
            before = max(before or Decimal(0), quota.used - told)
        return None if included is None or before is None else max(Fraction(0), Fraction(included) - Fraction(before))

    def _before(self, window: Window) -> Decimal | None:
        """The emails of the month before the window, as remembered; None if they are not."""
        counts = self.context.memory.get(_name(window.start), {})
        days = [day.start.date().isoformat() for day in _days(month_start(window.start), window.start)]
        if any(day not in counts for day in days):
            return None
        return sum((Decimal(counts[day]) for day in days), Decimal(0))

    def _kept(self, month: datetime) -> Mapping[str, object]:
        """The emails of each of the month's days: as told now, or as remembered where they are no longer told."""
        metrics = self._metrics
        if metrics is None:
            return {}
        told = _days(max(month, metrics.whole_since), min(next_month(month), midnight(self.context.now.date()) + DAY))
        counts = {day.start.date().isoformat(): Decimal(0) for day in told}
        for row in metrics.data:
            if row.period.isoformat() in counts:
                counts[row.period.isoformat()] += row.total
        earlier = self.context.memory.get(_name(month), {})
        return {_name(month): {**earlier, **{day: plain(count) for day, count in counts.items()}}}

    def _forgotten(self) -> dict[str, object]:
        oldest = _name(month_start(month_start(self.context.now) - DAY))
        return {name: None for name in self.context.memory if name.startswith(REMEMBERED) and name < oldest}

    async def _read(self, span: Span) -> Metrics:
        self._metrics = await self._ask(Metrics, METRICS, _period(span))
        if any(not span.start <= midnight(row.period) < span.end for row in self._metrics.data):
            raise Bug("Resend answered with days that it was not asked for.")
        return self._metrics

    async def _monthly(self) -> Quota:
        """What counts against the plan; nothing where Resend does not tell this team."""
        if self._quota is None:
            try:
                self._quota = (await self._ask(Usage, USAGE, {})).monthly
            except NeedsPerson:
                self._quota = Quota()
        return self._quota

    def _emails(self, row: Row, what: str, count: Decimal) -> Charge:
        return self._like(midnight(row.period))._replace(
            charge_frequency="Usage-Based",
            charge_description=f"Emails {what}",
            sub_account_id=row.domain_id,
            sub_account_name=row.domain_name,
            sku_id=SKU,
            consumed_quantity=count,
            consumed_unit="Emails",
            extra={"x_direction": what},
        )

    def _like(self, start: datetime) -> Charge:
        """What all charges of the day say."""
        return Charge(
            charge_period_start=start,
            charge_period_end=start + DAY,
            billing_currency="USD",
            billed_cost=None,
            x_origin="estimate",
            service_name=PROVIDER,
            service_provider_name=PROVIDER,
        )

    async def _ask(self, kind: type[A], path: str, params: Mapping[str, str]) -> A:
        try:
            return read(kind, await self.http.json("GET", path, params=params), PROVIDER)
        except Refused as refused:
            raise explained(refused) from None


def _period(span: Span) -> dict[str, str]:
    """The question for all days of `span`; the moment at which it ends is not part of it."""
    start, end = (f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in (span.start, span.end))
    shape = {"granularity": "daily", "dimensions": "period,domain", "metrics": "sent,received", "timezone": "UTC"}
    return {"start_date": start, "end_date": end, **shape}


def _days(start: datetime, end: datetime) -> Sequence[Span]:
    return list(Span(start, end).pieces()) if start < end else []


def _name(month: datetime) -> str:
    return f"{REMEMBERED}{month:%Y-%m}"


def explained(refused: Refused) -> NeedsPerson:
    """The error to raise in the place of `refused`: `{"statusCode": 401, "name": "...", "message": "..."}`."""
    body: Mapping[str, Any] = refused.body if isinstance(refused.body, Mapping) else {}
    said = str(body.get("message") or refused.text)[:300]
    advice = ADVICE.get(str(body.get("name"))) or BY_STATUS.get(refused.status)
    return NeedsPerson(
        f"{advice or f'Resend refused the request ({refused.status}).'} {KEY} Resend said: {said}",
        reason=refused.reason,
    )
