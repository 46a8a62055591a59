"""LangSmith: how many traces an organisation sent, priced by what the Provider declares.

LangSmith tells counts and no money. Every trace has a base charge, and one that is kept longer an upgrade on top; so
the organisation is asked for all traces, and for those of each retention tier. Facts: docs.langchain.com/langsmith,
granular-usage and view-usage (2026). The guide is docs/connectors/langsmith.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import AfterValidator, AwareDatetime, Field

from ledger.charge import Charge
from ledger.window import DAY, Span, Window, next_month, whole_months
from reconciler.connectors.base import BATCH, Account, Connector, Context, CredentialKey, Traits
from reconciler.connectors.http import Refused
from reconciler.connectors.pricing import PricedSettings, fees
from reconciler.connectors.reading import Answer, read
from reconciler.errors import Bug, NeedsPerson, RetryLater

USAGE: Final = "/api/v1/orgs/current/billing/granular-usage"
FIRST: Final = datetime(2026, 1, 5, tzinfo=UTC)
"""The first day that LangSmith counted so."""
TRACE: Final = "trace"
EXTENDED: Final = "trace-extended"
"""SKUs: the base charge of every trace, and the upgrade of those that are kept longer."""
COMMON: Final[dict[str, Any]] = {
    "billing_currency": "USD",
    "billed_cost": None,
    "x_origin": "estimate",
    "service_name": "LangSmith",
    "service_provider_name": "LangChain",
    "charge_frequency": "Usage-Based",
    "service_category": "AI and Machine Learning",
}
GROUPS: Final = {"Workspace": "workspace", "Project": "project", "User": "user", "APIKey": "api_key"}

KEY: Final = (
    "a service key of the organisation, whose role has the permission organization:read, from Settings > API keys: see "
    "docs/connectors/langsmith.md"
)
ADVICE: Final = {
    401: f"LangSmith does not know the key: it is mistyped, expired or deleted. Usage is read with {KEY}.",
    403: "The key may not read the organisation's usage: its role lacks organization:read, or it is a personal key and "
    f"langsmith.organizationID is not set. It takes {KEY}.",
    404: "LangSmith shows no granular usage at this address: check langsmith.baseURL, and for an instance of your own "
    "that it counts usage so. See docs/connectors/langsmith.md.",
}
NO_TIERS: Final = (
    "LangSmith gives the same traces for both retention tiers, so it does not tell them apart here. Set "
    "langsmith.tiers to None: all traces then count with their base charge alone. See "
    "docs/connectors/langsmith.md."
)

Moment = Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]


class Stride(Answer):
    """How long a bucket is: LangSmith chooses by the range."""

    days: int
    hours: int


class Row(Answer):
    """How many traces came in a bucket."""

    time_bucket: Moment
    traces: int = Field(ge=0)
    dimensions: dict[str, str | None]

    @property
    def place(self) -> tuple[object, ...]:
        return (self.time_bucket, *sorted(self.dimensions.items(), key=str))


class Usage(Answer):
    """The answer of /granular-usage."""

    stride: Stride
    usage: list[Row]


class LangSmithSettings(PricedSettings):
    """The block `spec.langsmith` of a Provider."""

    organization_id: str | None = Field(
        default=None,
        alias="organizationID",
        description="Id of the organisation, which a personal key needs; a service key has its own.",
        min_length=1,
        max_length=256,
    )
    split: Literal["Workspace", "Project", "User", "APIKey"] = Field(
        default="Workspace", description="What traces are told by beside the day; LangSmith takes one of them."
    )
    tiers: Literal["Both", "None"] = Field(
        default="Both",
        description="Both asks for each retention tier as well, for the upgrade to extended retention; None does not.",
    )
    included_traces: int = Field(
        default=0,
        alias="includedTraces",
        description="Traces of each month whose base charge the plan covers, the month's first ones.",
        ge=0,
    )
    base_url: str = Field(
        default="https://api.smith.langchain.com",
        alias="baseURL",
        description="Address of the API, without a path: that of the organisation's region, or your own instance.",
        max_length=2048,
        pattern=r"^https?://\S+$",
    )


class LangSmith(Connector[LangSmithSettings]):
    """Reads an organisation's granular usage, month by month."""

    Settings = LangSmithSettings
    traits: ClassVar[Traits] = Traits(
        type="langsmith",
        title="LangSmith",
        origin="estimate",
        gives="Traces per day by workspace, project, user or API key, with the upgrades to extended retention, priced "
        "by what the Provider declares.",
        grain="Day",
        reach=None,
        settling=timedelta(days=1),
        moving=timedelta(days=14),
        credentials=(CredentialKey("apiKey", KEY),),
    )

    def __init__(self, settings: LangSmithSettings, context: Context) -> None:
        super().__init__(settings, context)
        organization = {"X-Organization-Id": settings.organization_id} if settings.organization_id else {}
        self.http.authorise({"x-api-key": context.credentials["apiKey"].strip()})
        self._headers = organization

    async def check(self) -> Account:
        """Read this month's usage, all tiers that will be asked for."""
        await self._month(self.context.now.replace(day=1, hour=0, minute=0, second=0, microsecond=0))
        return Account(self.settings.organization_id)

    async def windows(self, due: Sequence[Span], history: Span) -> list[Window]:
        """Whole months, since what a plan covers is counted by the month; none from before LangSmith counted."""
        windows = [window for window in whole_months(due, history) if window.end > FIRST]
        return [Window(Span(max(window.start, FIRST), window.end)) for window in windows]

    async def charges(self, window: Window) -> AsyncIterator[Sequence[Charge]]:
        """Every row of the window's days, and the plan's fees."""
        for month in window.span.months():
            rows, upgrades = await self._month(month)
            found = [*self._base(rows), *self._upgrades(upgrades)]
            kept = [each for each in found if window.start <= each.charge_period_start < window.end]
            for start in range(0, len(kept), BATCH):
                yield kept[start : start + BATCH]
        yield fees(self.settings.plan, window.span, common(window.start))

    def _base(self, rows: Sequence[Row]) -> Iterator[Charge]:
        """The base charge of every trace; the month's first ones may be the plan's."""
        tariff, left = self.settings.tariff("langsmith"), self.settings.included_traces
        for row in sorted((row for row in rows if row.traces), key=lambda row: tuple(map(str, row.place))):
            covered = min(left, row.traces)
            left -= covered
            charge = used(row, TRACE, "traces")
            if covered:
                charge = charge._replace(extra={**(charge.extra or {}), "x_included_quantity": str(covered)})
            yield tariff.priced(charge, Decimal(row.traces - covered))

    def _upgrades(self, rows: Sequence[Row]) -> Iterator[Charge]:
        tariff = self.settings.tariff("langsmith")
        yield from (tariff.priced(used(row, EXTENDED, "upgrades to extended retention")) for row in rows if row.traces)

    async def _month(self, month: datetime) -> tuple[list[Row], list[Row]]:
        """All traces of a month, and those of them that are kept longer."""
        rows = await self._rows(month, None)
        if self.settings.tiers == "None":
            return rows, []
        long, short = await self._rows(month, "longlived"), await self._rows(month, "shortlived")
        told, both = _counted(rows), _counted(long) + _counted(short)
        if told != both:
            if _counted(long) == _counted(short) == told:
                raise NeedsPerson(NO_TIERS)
            raise RetryLater(f"LangSmith's traces of {month:%Y-%m} moved while they were read.")
        return rows, long

    async def _rows(self, month: datetime, tier: str | None) -> list[Row]:
        until = next_month(month)
        params = {
            "start_time": f"{month:%Y-%m-%dT%H:%M:%SZ}",
            "end_time": f"{until:%Y-%m-%dT%H:%M:%SZ}",
            "group_by": GROUPS[self.settings.split],
            "trace_tier": tier,
        }
        usage = read(Usage, await self._ask(params), "LangSmith")
        if (usage.stride.days, usage.stride.hours) != (1, 0):
            raise Bug(f"LangSmith answered by {usage.stride.days} days and {usage.stride.hours} hours, not by days.")
        other = next((row.time_bucket for row in usage.usage if not month <= row.time_bucket < until), None)
        if other is not None:
            raise Bug(f"LangSmith answered with {other:%Y-%m-%d}, which it was not asked for.")
        return usage.usage

    async def _ask(self, params: Mapping[str, str | None]) -> Any:
        try:
            return await self.http.json("GET", USAGE, params=params, headers=self._headers)
        except Refused as refused:
            raise explained(refused) from None


def _counted(rows: Sequence[Row]) -> Counter[tuple[object, ...]]:
    counted: Counter[tuple[object, ...]] = Counter()
    for row in rows:
        counted[row.place] += row.traces
    return +counted


def common(start: datetime) -> Charge:
    """What all charges of a day say."""
    return Charge(charge_period_start=start, charge_period_end=start + DAY, **COMMON)


def used(row: Row, sku: str, what: str) -> Charge:
    """The charge of a row's traces, which is still to be priced."""
    told = row.dimensions
    account = next((told[name] for name in ("workspace_id", "project_id", "user_id") if told.get(name)), None)
    name = next((told[name] for name in ("workspace_name", "project_name", "user_email") if told.get(name)), account)
    key = told.get("api_key_short_key")
    shown = name or key
    return Charge(
        charge_period_start=row.time_bucket,
        charge_period_end=row.time_bucket + DAY,
        **COMMON,
        charge_description=f"{shown}, {what}" if shown else what,
        sub_account_id=account,
        sub_account_name=name,
        sku_id=sku,
        consumed_quantity=Decimal(row.traces),
        consumed_unit="Traces",
        extra={"x_api_key_name": key} if key else None,
    )


def explained(refused: Refused) -> NeedsPerson:
    """The error to raise in the place of `refused`: `{"detail"}` or `{"error"}`, neither of which is documented."""
    body = refused.body if isinstance(refused.body, Mapping) else {}
    said = str(body.get("detail") or body.get("error") or refused.text)[:300]
    advice = ADVICE.get(
        refused.status, f"LangSmith refused the request ({refused.status}); see docs/connectors/langsmith.md."
    )
    return NeedsPerson(f"{advice} LangSmith said: {said}", reason=refused.reason)
