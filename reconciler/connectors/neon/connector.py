"""Neon: what an organisation's usage costs, by day, project and metric. An estimate: Neon tells usage, not money.

Usage comes from `GET /consumption_history/v2/projects`, whose metrics are those of the invoice, by days for the last 60
and by months for the months before; it is priced as Neon says that it is billed.
Facts: neon.com/docs/introduction/usage-calculations and neon.com/docs/guides/consumption-metrics.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import ClassVar, Final, TypeVar
from urllib.parse import quote

from pydantic import Field

from ledger.charge import Charge
from ledger.window import DAY, Span, Window, midnight, month_start, next_month
from reconciler.connectors.base import BATCH, Account, Connector, Context, CredentialKey, Traits
from reconciler.connectors.http import Refused, pages
from reconciler.connectors.neon.bill import PROVIDER, SKUS, Books, Used, listed
from reconciler.connectors.neon.report import History, Organization, Project, Projects
from reconciler.connectors.pricing import PricedSettings, fees
from reconciler.connectors.reading import Answer, read
from reconciler.errors import Bug, NeedsPerson

HISTORY: Final = "/consumption_history/v2/projects"
PROJECTS: Final = "/projects"
MOST_DAYS: Final = timedelta(days=59)
"""How far back days are told; Neon says 60, counted from its own clock."""
MOST_USAGES: Final = "100"
MOST_PROJECTS: Final = "400"

KEY: Final = (
    "Usage is read with an API key of the organisation, made in the Neon Console under the organisation's Settings > "
    "API keys, or with a personal key of a member. See docs/connectors/neon.md."
)
ADVICE: Final = {
    401: "Neon does not accept the API key: it is mistyped or revoked.",
    403: "Neon knows the key, but tells it no consumption: the organisation is on the Free plan or a legacy plan, "
    "which have no consumption history, or the key is limited to a project.",
    404: "Neon knows no such organisation for this key: check neon.orgID and neon.baseURL, and that the key's owner is "
    "a member of it.",
    406: "Neon does not reach back that far: lower spec.history.",
}

A = TypeVar("A", bound=Answer)
P = TypeVar("P", History, Projects)


class NeonSettings(PricedSettings):
    """The block `spec.neon` of a Provider."""

    org_id: str = Field(
        alias="orgID",
        description="The organisation to read (org-...), from its Settings in the Neon Console.",
        min_length=1,
        max_length=256,
        pattern=r"^[A-Za-z0-9_-]+$",
    )
    free_egress_gb: int = Field(
        default=100,
        alias="freeEgressGB",
        description="GB of public egress that the plan includes each month, for the whole organisation.",
        ge=0,
        le=1_000_000_000,
    )
    included_branches: int | None = Field(
        default=None,
        alias="includedBranches",
        description="Branches that each project includes, the root branch among them. If absent, 10 on Launch and 25 "
        "on other plans.",
        ge=1,
        le=1_000_000,
    )
    base_url: str = Field(
        default="https://console.neon.tech/api/v2",
        alias="baseURL",
        description="Address of the API. Change it only for a proxy in front of it.",
        max_length=2048,
        pattern=r"^https?://\S+$",
    )


class Neon(Connector[NeonSettings]):
    """Prices the consumption history."""

    Settings = NeonSettings
    traits: ClassVar[Traits] = Traits(
        type="neon",
        title="Neon",
        origin="estimate",
        gives="Compute, storage, egress and branches by day and project, priced by Neon's published formulas.",
        grain="Day",
        reach=timedelta(days=330),
        settling=timedelta(hours=6),
        moving=timedelta(days=3),
        rate_limit="about 30 calls a minute",
        credentials=(CredentialKey("apiKey", "an API key of the organisation"),),
    )

    def __init__(self, settings: NeonSettings, context: Context) -> None:
        super().__init__(settings, context)
        self.http.authorise({"Authorization": f"Bearer {context.credentials['apiKey'].strip()}"})
        self._known: Mapping[str, Project] | None = None

    async def check(self) -> Account:
        """Read yesterday's consumption of one project; then the organisation's name, which not every key is told."""
        today = midnight(self.context.now.date())
        await self._ask(History, HISTORY, {**self._params(Span(today - DAY, today), "daily"), "limit": "1"})
        org = self.settings.org_id
        try:
            return Account(org, (await self._ask(Organization, f"/organizations/{quote(org, safe='')}", {})).name)
        except NeedsPerson:
            return Account(org)

    async def windows(self, due: Sequence[Span], history: Span) -> list[Window]:
        """The months that hold what is due, whole because allowances are a month's; the open one until tonight."""
        end = midnight(self.context.now.date()) + DAY
        months = sorted({month for span in due for month in span.months() if month < end}, reverse=True)
        return [Window(Span(month, min(next_month(month), end))) for month in months]

    async def charges(self, window: Window) -> AsyncIterator[Sequence[Charge]]:
        """What the month's usage is estimated at, and the plan's fee."""
        by_days = window.start >= self.context.now - MOST_DAYS
        used = await self._used(window.span if by_days else _whole(window.start), "daily" if by_days else "monthly")
        books = self._books(await self._projects() if used else {})
        charges = list(books.priced([each for each in used if window.start <= each.frame.timeframe_start < window.end]))
        charges += fees(self.settings.plan, window.span, self._fee(window.start))
        for place in range(0, len(charges), BATCH):
            yield charges[place : place + BATCH]

    def _books(self, projects: Mapping[str, Project]) -> Books:
        settings = self.settings
        egress = Decimal(settings.free_egress_gb * 10**9)
        return Books(settings.tariff("neon"), settings.org_id, egress, settings.included_branches, projects)

    async def _used(self, span: Span, granularity: str) -> list[Used]:
        params = self._params(span, granularity) | {"limit": MOST_USAGES}
        return [used async for page in self._pages(History, HISTORY, params) for used in listed(page)]

    def _params(self, span: Span, granularity: str) -> dict[str, str]:
        period = {"from": f"{span.start:%Y-%m-%dT%H:%M:%SZ}", "to": f"{span.end:%Y-%m-%dT%H:%M:%SZ}"}
        return {"org_id": self.settings.org_id, **period, "granularity": granularity, "metrics": ",".join(SKUS)}

    async def _projects(self) -> Mapping[str, Project]:
        """The projects that there are now, asked for once a sync; none where the key may not list them."""
        if self._known is None:
            params = {"org_id": self.settings.org_id, "limit": MOST_PROJECTS}
            try:
                found = [each async for page in self._pages(Projects, PROJECTS, params) for each in page.projects]
            except NeedsPerson:
                found = []
            self._known = {each.id: each for each in found}
        return self._known

    async def _pages(self, kind: type[P], path: str, params: Mapping[str, str]) -> AsyncIterator[P]:
        """Every page. The last one names a cursor, too: the end is a page without projects, or the cursor again."""
        seen: set[str] = set()

        async def fetch(cursor: str | None) -> tuple[P, str | None]:
            page = await self._ask(kind, path, {**params, **({"cursor": cursor} if cursor else {})})
            if seen & set(page.ids):
                raise Bug("Neon answered with a project twice.", reason="CursorLoop")
            seen.update(page.ids)
            following = page.following if page.ids else None
            return page, following if following != cursor else None

        async for page in pages(fetch):
            yield page

    def _fee(self, start: datetime) -> Charge:
        """What all fees say, whatever they come to and when they are due."""
        return Charge(
            charge_period_start=start,
            charge_period_end=start + DAY,
            billing_currency="USD",
            billed_cost=None,
            x_origin="estimate",
            service_name=PROVIDER,
            service_provider_name=PROVIDER,
            service_category="Databases",
            billing_account_id=self.settings.org_id,
        )

    async def _ask(self, kind: type[A], path: str, params: Mapping[str, str]) -> A:
        try:
            return read(kind, await self.http.json("GET", path, params=params), "Neon")
        except Refused as refused:
            raise explained(refused) from None


def _whole(month: datetime) -> Span:
    return Span(month_start(month), next_month(month))


def explained(refused: Refused) -> NeedsPerson:
    """The error to raise in the place of `refused`, which reads `{"request_id", "code", "message"}`."""
    body = refused.body if isinstance(refused.body, Mapping) else {}
    said = str(body.get("message") or refused.text)[:300]
    advice = ADVICE.get(refused.status, f"Neon refused the request ({refused.status}).")
    return NeedsPerson(f"{advice} {KEY} Neon said: {said}", reason=refused.reason)
