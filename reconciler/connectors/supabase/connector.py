"""Supabase: what an organisation's projects cost by what they have. An estimate: there is no documented API for costs.

The Management API tells the plan, the projects with their databases, and each project's add-ons with their prices.
Usage that is billed beside them (egress, users, storage, ...) has no documented API, and is not covered.
Facts: supabase.com/docs/reference/api and supabase.com/docs/guides/platform/billing-on-supabase.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import ClassVar, Final, TypeVar
from urllib.parse import quote

from pydantic import Field

from ledger.charge import Charge
from ledger.money import amount
from ledger.window import Window
from reconciler.connectors.base import BATCH, Account, Connector, Context, CredentialKey, Traits
from reconciler.connectors.http import Refused, pages
from reconciler.connectors.inventory import Standing, bare, by_day
from reconciler.connectors.pricing import AMOUNT, PricedSettings, Tariff, fees
from reconciler.connectors.reading import Answer, read
from reconciler.connectors.supabase.bill import GONE, PROVIDER, credited, price_list, standing
from reconciler.connectors.supabase.report import Addons, Organization, Project, Projects, Variant
from reconciler.errors import Bug, NeedsPerson

ORGANIZATIONS: Final = "/v1/organizations"
PROJECTS: Final = "/v1/projects"
MOST_PROJECTS: Final = 100
FREE: Final = "free"

TOKEN: Final = (
    "Projects are read with an access token, made at https://supabase.com/dashboard/account/tokens, best one that is "
    "limited to the organisation and to reading organisations, projects and add-ons (infra_add_ons_read). See "
    "docs/connectors/supabase.md."
)
ADVICE: Final = {
    401: "Supabase does not accept the token: it is mistyped, expired or revoked.",
    403: "Supabase knows the token, but it may not read this: it lacks a permission, or is limited to other "
    "organisations or projects.",
    404: "Supabase knows no such organisation for this token: check supabase.organization (its slug) and "
    "supabase.baseURL.",
}
WRONG_KINDS: Final = {
    "eyJ": "The value is a project's API key (eyJ...), not an access token.",
    "sb_secret_": "The value is a project's secret key (sb_secret_...), not an access token.",
    "sb_publishable_": "The value is a project's publishable key, not an access token.",
}

A = TypeVar("A", bound=Answer)


class SupabaseSettings(PricedSettings):
    """The block `spec.supabase` of a Provider."""

    organization: str = Field(
        description="Slug of the organisation to read, as in the address of its dashboard.",
        min_length=1,
        max_length=256,
        pattern=r"^[A-Za-z0-9_-]+$",
    )
    compute_credit: str = Field(
        default="10.00",
        alias="computeCredit",
        description="Compute credits in US dollars that a paid plan includes each month.",
        max_length=29,
        pattern=AMOUNT,
    )
    base_url: str = Field(
        default="https://api.supabase.com",
        alias="baseURL",
        description="Address of the Management API, without /v1. Change it only for a proxy in front of it.",
        max_length=2048,
        pattern=r"^https?://\S+$",
    )


class Supabase(Connector[SupabaseSettings]):
    """Prices what projects have."""

    Settings = SupabaseSettings
    traits: ClassVar[Traits] = Traits(
        type="supabase",
        title="Supabase",
        origin="estimate",
        gives="Compute, add-ons and disks by day and project at Supabase's own prices, and the plan's fee.",
        grain="Day",
        reach=timedelta(days=31),
        settling=timedelta(0),
        moving=timedelta(0),
        rate_limit="120 calls a minute",
        credentials=(CredentialKey("apiKey", "an access token (sbp_...) of a member of the organisation"),),
    )

    def __init__(self, settings: SupabaseSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._token = context.credentials["apiKey"].strip()
        self.http.authorise({"Authorization": f"Bearer {self._token}"})
        self._found: tuple[Sequence[Standing], Tariff] | None = None

    async def check(self) -> Account:
        """Read the organisation, its projects, and the add-ons of one of them, which takes a permission of its own."""
        organisation = await self._organization()
        projects = await self._projects()
        if projects:
            await self._addons(projects[0])
        return Account(organisation.id, organisation.name, (f"plan {organisation.plan}",) if organisation.plan else ())

    async def charges(self, window: Window) -> AsyncIterator[Sequence[Charge]]:
        """What stands on each of the window's days, less compute credits, and the plan's fee."""
        if self._found is None:
            self._found = await self._inventory()
        things, tariff = self._found
        charges = by_day(things, window.span, self.context.now, tariff, None)
        charges += credited(charges, amount(self.settings.compute_credit), self.settings.organization)
        charges += fees(self.settings.plan, window.span, self._like())
        for place in range(0, len(charges), BATCH):
            yield charges[place : place + BATCH]

    async def _inventory(self) -> tuple[Sequence[Standing], Tariff]:
        """All that costs, and the prices: the Provider's own, Supabase's for add-ons, and those that ship."""
        things: list[Standing] = []
        variants: list[Variant] = []
        if (await self._organization()).plan != FREE:
            for project in await self._projects():
                if project.status not in GONE:
                    addons = await self._addons(project)
                    variants += addons.variants
                    things += standing(project, addons, self.settings.organization)
        tariff, own = self.settings.tariff(PROVIDER.lower()), 1 if self.settings.prices else 0
        told = price_list(variants, self.context.now.date())
        return things, Tariff(tariff.vendor, (*tariff.lists[:own], told, *tariff.lists[own:]))

    async def _organization(self) -> Organization:
        return await self._ask(Organization, f"{ORGANIZATIONS}/{self.settings.organization}", {})

    async def _projects(self) -> Sequence[Project]:
        path = f"{ORGANIZATIONS}/{self.settings.organization}/projects"
        found: dict[str, Project] = {}

        async def fetch(offset: int | None) -> tuple[Projects, int | None]:
            here = offset or 0
            page = await self._ask(Projects, path, {"limit": str(MOST_PROJECTS), "offset": str(here)})
            if any(project.ref in found for project in page.projects):
                raise Bug("Supabase lists a project twice.", reason="CursorLoop")
            found.update((project.ref, project) for project in page.projects)
            following = here + len(page.projects)
            return page, following if page.projects and following < page.pagination.count else None

        total = 0
        async for page in pages(fetch):
            total = page.pagination.count
        if len(found) < total:
            raise Bug(f"Supabase lists {total} projects and gave {len(found)}: nothing of them is stored.")
        return list(found.values())

    async def _addons(self, project: Project) -> Addons:
        return await self._ask(Addons, f"{PROJECTS}/{quote(project.ref, safe='')}/billing/addons", {})

    def _like(self) -> Charge:
        return bare(PROVIDER)._replace(service_category="Databases", billing_account_id=self.settings.organization)

    async def _ask(self, kind: type[A], path: str, params: Mapping[str, str]) -> A:
        try:
            return read(kind, await self.http.json("GET", path, params=params), PROVIDER)
        except Refused as refused:
            raise explained(refused, self._token) from None


def explained(refused: Refused, token: str) -> NeedsPerson:
    """The error to raise in the place of `refused`, `{"message": "..."}`. Only the beginning of `token` is used."""
    body = refused.body if isinstance(refused.body, Mapping) else {}
    said = str(body.get("message") or refused.text)[:300]
    kind = next((words for prefix, words in WRONG_KINDS.items() if token.startswith(prefix)), None)
    advice = ADVICE.get(refused.status, f"Supabase refused the request ({refused.status}).")
    if refused.status == 401 and kind:
        advice = kind
    return NeedsPerson(f"{advice} {TOKEN} Supabase said: {said}", reason=refused.reason)
