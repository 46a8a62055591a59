"""ElevenLabs, read from the workspace analytics: cost for workspaces that are billed by cost, else credits.

Facts: the package `elevenlabs` 2.78.0, which is generated from the vendor's specification. The guide is
docs/connectors/elevenlabs.md.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, ClassVar, Final, Literal

from pydantic import Field

from ledger.charge import Charge
from ledger.money import InvalidAmount, currency
from ledger.window import DAY, EPOCH, Span, Window, midnight
from reconciler.connectors.base import BATCH, Account, Connector, Context, CredentialKey, Traits
from reconciler.connectors.elevenlabs.table import CURRENCIES, Line, Table
from reconciler.connectors.http import Refused
from reconciler.connectors.pricing import PricedSettings, fees
from reconciler.connectors.reading import read
from reconciler.errors import Bug, NeedsPerson

COST: Final = "/v1/workspace/analytics/usage"
CREDITS: Final = "/v1/workspace/analytics/query/usage-by-product-over-time"
SKU: Final = "credits"
"""The SKU under which the price of credits is declared."""
SHOWN: Final = 12
"""Characters of an API key's hash that tell keys apart."""

DIMENSIONS: Final = {
    "Product": "product_type",
    "Workspace": "reporting_workspace_id",
    "BillingGroup": "billing_group_id",
    "User": "user_id",
    "APIKey": "hashed_xi_api_key",
    "Region": "region",
}
ALWAYS: Final = ("model",)
"""What costs and credits can both be grouped by beside the dimension that is chosen."""

KEY: Final = (
    "an API key of an admin of the workspace with the permission to read workspace analytics "
    "(workspace_analytics_full_read) and no other: see docs/connectors/elevenlabs.md"
)
ADVICE: Final = {
    401: f"ElevenLabs does not know the key: it is mistyped, disabled or deleted. Usage is read with {KEY}.",
    403: f"The key may not read the workspace's usage. It takes {KEY}.",
    404: "There is no usage at this address; check elevenlabs.baseURL, which has no path. See "
    "docs/connectors/elevenlabs.md.",
}
MISSING: Final = f"The key lacks the permission to read the workspace's analytics. It takes {KEY}."
OTHER_BILLING: Final = (
    "ElevenLabs does not answer this for the workspace as it is billed. Set elevenlabs.billedIn to Cost if it is "
    "billed by cost, and to Credits if in credits; days of before a change of billing stay as they were read. See "
    "docs/connectors/elevenlabs.md."
)


class ElevenLabsSettings(PricedSettings):
    """The block `spec.elevenlabs` of a Provider."""

    billed_in: Literal["Credits", "Cost"] = Field(
        default="Credits",
        alias="billedIn",
        description="How ElevenLabs bills the workspace: Credits by a plan with so many of them, Cost by amounts.",
    )
    split: Literal["Product", "Workspace", "BillingGroup", "User", "APIKey", "Region"] = Field(
        default="Product", description="What charges are told by, beside day and model; ElevenLabs takes one of them."
    )
    base_url: str = Field(
        default="https://api.elevenlabs.io",
        alias="baseURL",
        description="Address of the API, without a path: that of the workspace's data residency, or of a proxy.",
        max_length=2048,
        pattern=r"^https?://\S+$",
    )


class ElevenLabs(Connector[ElevenLabsSettings]):
    """Reads a workspace's analytics."""

    Settings = ElevenLabsSettings
    traits: ClassVar[Traits] = Traits(
        type="elevenlabs",
        title="ElevenLabs",
        origin="api",
        gives="Cost per day and model, by product, workspace, user, API key or region; or credits by the same, priced "
        "by what the Provider declares.",
        grain="Day",
        reach=None,
        settling=timedelta(days=1),
        moving=timedelta(days=7),
        credentials=(CredentialKey("apiKey", KEY),),
    )

    def __init__(self, settings: ElevenLabsSettings, context: Context) -> None:
        super().__init__(settings, context)
        self.http.authorise({"xi-api-key": context.credentials["apiKey"].strip()})
        self._tariff = settings.tariff("elevenlabs")

    async def check(self) -> Account:
        """Ask for today, which takes the same permission as every other day."""
        today = midnight(self.context.now.date())
        await self._table(Span(today, today + DAY))
        return Account()

    async def charges(self, window: Window) -> AsyncIterator[Sequence[Charge]]:
        """Every row of the window's days, and the plan's fees."""
        table = await self._table(window.span)
        found = [self._charge(line) for line in table.lines() if _told(line, window)]
        for first in range(0, len(found), BATCH):
            yield found[first : first + BATCH]
        start = window.start
        like = Charge(start, start + DAY, billing_currency="USD", billed_cost=None, x_origin="estimate", **COMMON)
        yield fees(self.settings.plan, window.span, like)

    def _charge(self, line: Line) -> Charge:
        said = by_dimension(line, DIMENSIONS[self.settings.split])
        if self.settings.billed_in == "Cost":
            return costed(line, said)
        return self._tariff.priced(in_credits(line, said))

    async def _table(self, span: Span) -> Table:
        cost = self.settings.billed_in == "Cost"
        body = {
            "start_time": _milliseconds(span.start),
            "end_time": _milliseconds(span.end),
            "interval_seconds": int(DAY.total_seconds()),
            "group_by": [
                DIMENSIONS[self.settings.split],
                *ALWAYS,
                *(("fiat_charge_type", "fiat_currency") if cost else ()),
            ],
        }
        try:
            answer = await self.http.json("POST", COST if cost else CREDITS, body=body, retry=True)
        except Refused as refused:
            raise explained(refused) from None
        return read(Table, answer, "ElevenLabs")


def _milliseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(milliseconds=1)


def _told(line: Line, window: Window) -> bool:
    """Whether the row is of the window. That the end is not included is not documented, so its bucket may come too."""
    if line.start < window.start or line.start.time() != EPOCH.time():
        raise Bug(f"ElevenLabs answered with {line.start:%Y-%m-%dT%H:%M:%SZ}, which it was not asked for.")
    return line.start < window.end


COMMON: Final[dict[str, Any]] = {
    "service_name": "ElevenLabs",
    "service_provider_name": "ElevenLabs",
    "charge_frequency": "Usage-Based",
    "service_category": "AI and Machine Learning",
}
"""What all charges say."""


def by_dimension(line: Line, dimension: str) -> dict[str, Any]:
    """What a row says of the model and the dimension, under its display name where the answer has one."""
    told, model = line.text(dimension), line.text("model")
    stem = dimension.removesuffix("_id")
    shown = line.text(f"{stem}_label", f"{stem}_name", f"{dimension}_label", f"{dimension}_name") or told
    said: dict[str, Any] = {"x_model": model}
    match dimension:
        case "product_type":
            said["sku_id"] = told
        case "region":
            said["region_id"] = told
        case "hashed_xi_api_key":
            shown = told[:SHOWN] if told and shown == told else shown
            said["extra"] = {"x_api_key_name": shown} if shown else {}
        case _:
            said |= {"sub_account_id": told, "sub_account_name": shown}
    return {**said, "charge_description": ", ".join(part for part in (shown, model) if part) or None}


def costed(line: Line, said: Mapping[str, Any]) -> Charge:
    """The charge of a row's cost, in the unit of its column or in the currency that the row names."""
    cost, unit = line.number("total_cost"), line.units.get("total_cost")
    code = unit if unit in CURRENCIES else line.text("fiat_currency")
    if cost is None or code is None:
        raise Bug("ElevenLabs' answer has no cost, or none with a currency.")
    kind, count = line.text("fiat_charge_type"), line.number("total_charge_count")
    fields = {**COMMON, **said, "extra": {**said.get("extra", {}), **({"x_charge_type": kind} if kind else {})} or None}
    return Charge(
        charge_period_start=line.start,
        charge_period_end=line.start + DAY,
        billing_currency=_currency(code),
        billed_cost=cost,
        x_origin="api",
        charge_category="Credit" if cost < 0 else "Usage",
        consumed_quantity=count,
        consumed_unit=None if count is None else "Units",
        **fields,
    )


@cache
def _currency(code: str) -> str:
    try:
        return currency(code)
    except InvalidAmount as error:
        raise Bug(f"ElevenLabs' answer names no currency: {error}") from None


def in_credits(line: Line, said: Mapping[str, Any]) -> Charge:
    """The charge of a row's credits, to be priced."""
    columns = line.of_unit("credits")
    if len(columns) != 1:
        raise Bug("ElevenLabs' answer has no column of credits, or several.")
    product = {"x_product": said["sku_id"]} if said.get("sku_id") else {}
    fields = {**COMMON, **said, "sku_id": SKU, "extra": {**said.get("extra", {}), **product} or None}
    return Charge(
        charge_period_start=line.start,
        charge_period_end=line.start + DAY,
        billing_currency="USD",
        billed_cost=None,
        x_origin="estimate",
        consumed_quantity=line.number(columns[0]),
        consumed_unit="Credits",
        **fields,
    )


def explained(refused: Refused) -> NeedsPerson:
    """The error to raise in the place of `refused`: `{"detail": {"status", "message"}}`, or a list of faults (422)."""
    body = refused.body if isinstance(refused.body, Mapping) else {}
    detail: Any = body.get("detail")
    first = detail[0] if isinstance(detail, list) and detail else detail
    told = first if isinstance(first, Mapping) else {}
    said = str(told.get("message") or told.get("msg") or (first if isinstance(first, str) else refused.text))[:300]
    if told.get("status") == "missing_permissions":
        return NeedsPerson(f"{MISSING} ElevenLabs said: {said}", reason="Forbidden")
    advice = OTHER_BILLING if refused.status in (400, 422) else ADVICE.get(refused.status)
    advice = advice or f"ElevenLabs refused the request ({refused.status}); see docs/connectors/elevenlabs.md."
    return NeedsPerson(f"{advice} ElevenLabs said: {said}", reason=refused.reason)
