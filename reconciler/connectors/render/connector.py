"""Render: what services, databases and disks cost by what there is. An estimate: Render's API tells no money.

The API lists everything that stands, and each costs by the second, at a monthly price of its plan.
Facts: api-docs.render.com and render.com/pricing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Final, TypeVar

from pydantic import Field

from ledger.charge import Charge
from ledger.window import Window
from reconciler.connectors.base import BATCH, Account, Connector, Context, CredentialKey, Traits
from reconciler.connectors.http import Refused, pages
from reconciler.connectors.inventory import Standing, bare, by_day
from reconciler.connectors.pricing import PricedSettings, fees
from reconciler.connectors.reading import read
from reconciler.connectors.render.bill import PROVIDER, Names, of_key_value, of_postgres, of_service
from reconciler.connectors.render.report import KeyValue, Owner, Page, Postgres, Project, Service
from reconciler.errors import Bug, NeedsPerson

OWNERS: Final = "/v1/owners"
PROJECTS: Final = "/v1/projects"
SERVICES: Final = "/v1/services"
POSTGRES: Final = "/v1/postgres"
KEY_VALUE: Final = "/v1/key-value"
MOST_ROWS: Final = "100"

KEY: Final = (
    "Render is read with an API key (rnd_...), made in the Render Dashboard under Account settings > API keys. See "
    "docs/connectors/render.md."
)
ADVICE: Final = {
    401: "Render does not accept the API key: it is mistyped or revoked.",
    403: "Render knows the API key, but its owner may not read this workspace.",
    404: "Render has nothing at this address: check render.baseURL and render.ownerID.",
}
NO_OWNER: Final = "The API key's owner is in none of the workspaces that render.ownerID names, or in none at all."

T = TypeVar("T", Owner, Project, Service, Postgres, KeyValue)


class RenderSettings(PricedSettings):
    """The block `spec.render` of a Provider."""

    owner_id: str | None = Field(
        default=None,
        alias="ownerID",
        description="Id of the workspace to read (tea-... or usr-...). If absent, all workspaces of the key's owner.",
        min_length=1,
        max_length=256,
        pattern=r"^[A-Za-z0-9_-]+$",
    )
    base_url: str = Field(
        default="https://api.render.com",
        alias="baseURL",
        description="Address of the API, without /v1. Change it only for a proxy in front of it.",
        max_length=2048,
        pattern=r"^https?://\S+$",
    )


class Render(Connector[RenderSettings]):
    """Prices what stands."""

    Settings = RenderSettings
    traits: ClassVar[Traits] = Traits(
        type="render",
        title="Render",
        origin="estimate",
        gives="Instances, databases and disks by day, service and project at their plans' prices, and the plan's fee.",
        grain="Day",
        reach=timedelta(days=31),
        settling=timedelta(0),
        moving=timedelta(0),
        rate_limit="400 calls a minute",
        credentials=(CredentialKey("apiKey", "an API key (rnd_...) of a member of the workspace"),),
    )

    def __init__(self, settings: RenderSettings, context: Context) -> None:
        super().__init__(settings, context)
        self.http.authorise({"Authorization": f"Bearer {context.credentials['apiKey'].strip()}"})
        self._found: Sequence[Standing] | None = None

    async def check(self) -> Account:
        """List the workspaces, which any key may, and find the one that the settings name."""
        owners = [each for each in await self._list(Owner, OWNERS) if self.settings.owner_id in (None, each.id)]
        if not owners:
            raise NeedsPerson(f"{NO_OWNER} {KEY}", reason="NotFound")
        if len(owners) == 1:
            return Account(owners[0].id, owners[0].name)
        return Account(notes=(f"{len(owners)} workspaces: {', '.join(each.name or each.id for each in owners)}",))

    async def charges(self, window: Window) -> AsyncIterator[Sequence[Charge]]:
        """What stands on each of the window's days, and the plan's fee."""
        if self._found is None:
            self._found = await self._standing()
        charges = by_day(self._found, window.span, self.context.now, self.settings.tariff(PROVIDER.lower()), None)
        charges += fees(self.settings.plan, window.span, self._like())
        for place in range(0, len(charges), BATCH):
            yield charges[place : place + BATCH]

    async def _standing(self) -> Sequence[Standing]:
        services = await self._list(Service, SERVICES)
        databases = await self._list(Postgres, POSTGRES)
        stores = await self._list(KeyValue, KEY_VALUE)
        names = await self._names()
        return [
            *(thing for each in services for thing in of_service(each, names)),
            *(thing for each in databases for thing in of_postgres(each, names)),
            *(thing for each in stores for thing in of_key_value(each, names)),
        ]

    async def _names(self) -> Names:
        projects = await self._list(Project, PROJECTS)
        return Names(
            {owner.id: owner for owner in await self._list(Owner, OWNERS)},
            {environment: project for project in projects for environment in project.environment_ids},
        )

    async def _list(self, kind: type[T], path: str) -> list[T]:
        """Everything of one kind. The end is a page without elements: a page may be shorter than it could be."""
        params = {"limit": MOST_ROWS}
        if self.settings.owner_id is not None and kind is not Owner:
            params["ownerId"] = self.settings.owner_id
        found: dict[str, T] = {}

        async def fetch(cursor: str | None) -> tuple[list[T], str | None]:
            page = read(
                Page, {"rows": await self._ask(path, params | ({"cursor": cursor} if cursor else {}))}, PROVIDER
            )
            things = [read(kind, row.get(kind.wrapper), PROVIDER) for row in page.rows]
            if any(thing.id in found for thing in things):
                raise Bug(f"Render lists something at {path} twice.", reason="CursorLoop")
            found.update((thing.id, thing) for thing in things)
            if page.rows and not (isinstance(page.following, str) and page.following):
                raise Bug(f"Render's list at {path} does not say where it goes on.")
            return things, str(page.following) if page.rows else None

        async for _ in pages(fetch):
            pass
        return list(found.values())

    def _like(self) -> Charge:
        return bare(PROVIDER)._replace(service_category="Compute", billing_account_id=self.settings.owner_id)

    async def _ask(self, path: str, params: dict[str, str]) -> Any:
        try:
            return await self.http.json("GET", path, params=params)
        except Refused as refused:
            raise explained(refused) from None


def explained(refused: Refused) -> NeedsPerson:
    """The error to raise in the place of `refused`, which reads `{"id": "...", "message": "..."}`."""
    body = refused.body if isinstance(refused.body, dict) else {}
    said = str(body.get("message") or refused.text)[:300]
    advice = ADVICE.get(refused.status, f"Render refused the request ({refused.status}).")
    return NeedsPerson(f"{advice} {KEY} Render said: {said}", reason=refused.reason)
