"""Fly.io: what machines and volumes cost by what there is. An estimate: no documented API tells money or usage.

The Machines API lists apps, machines and volumes. Fly.io's GraphQL, which its own tools use, is left alone: Fly.io
gives no word that it stays as it is.
Facts: fly.io/docs/machines/api and fly.io/docs/about/pricing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, ClassVar, Final
from urllib.parse import quote

from pydantic import Field

from ledger.charge import Charge
from ledger.window import Window
from reconciler.connectors.base import BATCH, Account, Connector, Context, CredentialKey, Traits
from reconciler.connectors.flyio.bill import HOURS, PROVIDER, of_machine, of_volume
from reconciler.connectors.flyio.report import App, Apps, Machines, Volumes
from reconciler.connectors.http import Refused
from reconciler.connectors.inventory import Standing, bare, by_day
from reconciler.connectors.pricing import PricedSettings, Tariff, fees
from reconciler.connectors.reading import read
from reconciler.errors import Bug, NeedsPerson

APPS: Final = "/v1/apps"
SCHEME: Final = "FlyV1 "
"""How tokens begin that say themselves how they are sent."""

TOKEN: Final = (
    "Machines are read with a read-only token of the organisation, made by `fly tokens create readonly ORGANIZATION`. "
    "See docs/connectors/flyio.md."
)
ADVICE: Final = {
    401: "Fly.io does not accept the token: it is mistyped, expired or revoked, or not for this organisation.",
    403: "Fly.io knows the token, but it may not read this organisation: a token for one app, or for deploying, is too "
    "narrow.",
    404: "Fly.io knows no such organisation for this token: check flyio.organization (its slug) and flyio.baseURL.",
}


class FlyioSettings(PricedSettings):
    """The block `spec.flyio` of a Provider."""

    organization: str = Field(
        description="Slug of the organisation to read, as `fly orgs list` shows it.",
        min_length=1,
        max_length=256,
        pattern=r"^[A-Za-z0-9_-]+$",
    )
    base_url: str = Field(
        default="https://api.machines.dev",
        alias="baseURL",
        description="Address of the Machines API, without /v1. Change it only for a proxy in front of it.",
        max_length=2048,
        pattern=r"^https?://\S+$",
    )


class Flyio(Connector[FlyioSettings]):
    """Prices what stands."""

    Settings = FlyioSettings
    traits: ClassVar[Traits] = Traits(
        type="flyio",
        title="Fly.io",
        origin="estimate",
        gives="Running machines, memory and volumes by day, app and region at declared prices, and a plan's fee.",
        grain="Day",
        reach=timedelta(days=31),
        settling=timedelta(0),
        moving=timedelta(0),
        credentials=(CredentialKey("apiKey", "a read-only token of the organisation"),),
    )

    def __init__(self, settings: FlyioSettings, context: Context) -> None:
        super().__init__(settings, context)
        token = context.credentials["apiKey"].strip()
        self.http.authorise({"Authorization": token if token.startswith(SCHEME) else f"Bearer {token}"})
        self._found: Sequence[Standing] | None = None

    async def check(self) -> Account:
        """List the apps, and the machines of one of them."""
        apps = await self._apps()
        if apps:
            await self._machines(apps[0])
        return Account(self.settings.organization, notes=(f"{len(apps)} apps",))

    async def charges(self, window: Window) -> AsyncIterator[Sequence[Charge]]:
        """What runs and stands on each of the window's days, and the plan's fee."""
        if self._found is None:
            self._found = [thing for app in await self._apps() for thing in await self._standing(app)]
        tariff = self.settings.tariff("flyio")
        things = [_priced_there(thing, tariff, window.start.date()) for thing in self._found]
        charges = by_day(things, window.span, self.context.now, tariff, HOURS)
        charges += fees(self.settings.plan, window.span, self._like())
        for place in range(0, len(charges), BATCH):
            yield charges[place : place + BATCH]

    async def _apps(self) -> Sequence[App]:
        answer = read(Apps, await self._ask(APPS, {"org_slug": self.settings.organization}), PROVIDER)
        if answer.total_apps is not None and answer.total_apps > len(answer.apps):
            raise Bug(f"Fly.io has {answer.total_apps} apps and told {len(answer.apps)}: nothing of them is stored.")
        return answer.apps

    async def _standing(self, app: App) -> Sequence[Standing]:
        organisation = self.settings.organization
        machines = await self._machines(app)
        volumes = read(Volumes, {"rows": await self._ask(f"{_path(app)}/volumes", {})}, PROVIDER)
        return [
            *(thing for each in machines.rows for thing in of_machine(each, app, organisation)),
            *(thing for each in volumes.rows for thing in of_volume(each, app, organisation)),
        ]

    async def _machines(self, app: App) -> Machines:
        return read(Machines, {"rows": await self._ask(f"{_path(app)}/machines", {})}, PROVIDER)

    def _like(self) -> Charge:
        return bare(PROVIDER)._replace(service_category="Compute", billing_account_id=self.settings.organization)

    async def _ask(self, path: str, params: Mapping[str, str]) -> Any:
        try:
            return await self.http.json("GET", path, params=params)
        except Refused as refused:
            raise explained(refused) from None


def _path(app: App) -> str:
    return f"{APPS}/{quote(app.name, safe='')}"


def _priced_there(thing: Standing, tariff: Tariff, day: date) -> Standing:
    """`thing` under its SKU in its own region, where that has a price of its own."""
    there = f"{thing.sku}/{thing.charge.region_id}"
    return replace(thing, sku=there) if tariff.find(there, day) else thing


def explained(refused: Refused) -> NeedsPerson:
    """The error to raise in the place of `refused`, which reads `{"error": "..."}`."""
    body = refused.body if isinstance(refused.body, Mapping) else {}
    said = str(body.get("error") or refused.text)[:300]
    advice = ADVICE.get(refused.status, f"Fly.io refused the request ({refused.status}).")
    return NeedsPerson(f"{advice} {TOKEN} Fly.io said: {said}", reason=refused.reason)
