"""Together AI: what an organisation's usage costs, by day or hour, product, model, project and API key.

Money comes from `GET /v1/billing/usage`, which is in beta, has to be enabled for the organisation, and tells finished
windows only; `GET /v3/whoami` names the organisation. Facts: docs.together.ai/reference/billing-usage and the package
`together` 3.1.1. The guide is docs/connectors/together.md.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field

from ledger.charge import Charge
from ledger.money import currency, plain
from ledger.window import Span, Window, midnight, whole_months
from reconciler.connectors.base import BATCH, Account, Connector, Context, CredentialKey, Settings, Traits
from reconciler.connectors.http import Refused, next_cursor, pages
from reconciler.connectors.reading import Answer, Number, read
from reconciler.errors import Bug, NeedsPerson, RetryLater

USAGE: Final = "/v1/billing/usage"
WHOAMI: Final = "/v3/whoami"
MOST_WINDOWS: Final = 1000
"""Windows that one answer may hold: a month has at most 744 hours."""

KEY: Final = "an API key of the organisation, of any of its projects, from Settings > API keys at api.together.ai"
ADVICE: Final = {
    401: f"Together does not know the key: it is mistyped, expired or deleted. Costs are read with {KEY}.",
    403: f"The key does not belong to the organisation in together.organizationID, or is limited. It takes {KEY}.",
    404: (
        "Together shows no billing usage: the API is in beta, and Together's support has to enable it for each "
        "organisation. If it is enabled, check together.baseURL."
    ),
}
TOKEN_TYPES: Final = (("cached", "cached_input"), ("input", "input"), ("prompt", "input"), ("output", "output"))
"""What a product's name says of its tokens, the first that is found in it; names are for display and may change."""


def _texts(value: object) -> object:
    """A table of texts; the answer's shape may change while the API is in beta, so what is no text becomes one."""
    if isinstance(value, Mapping):
        return {name: str(text) for name, text in value.items() if text is not None}
    return {} if value is None else value


Texts = Annotated[dict[str, str], BeforeValidator(_texts)]
Moment = Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]


class AppliedCredit(Answer):
    """Which kind of credit covers a line: PREPAID, POSTPAID or CREDIT so far."""

    type: str


class LineItem(Answer):
    """What one product cost in a window. `cost` is in major units; `quantity` is in a unit of the product's own."""

    product_name: str = Field(min_length=1)
    cost: Number
    quantity: Number | None = None
    unit_price: Number | None = None
    pricing_dimensions: Texts = Field(default_factory=dict)
    attributes: Texts = Field(default_factory=dict)
    applied_credit: AppliedCredit | None = None

    @property
    def token_type(self) -> str | None:
        name = self.product_name.lower()
        if "token" not in name:
            return None
        return next((type_ for word, type_ in TOKEN_TYPES if re.search(rf"\b{word}\b", name)), None)


class TimeWindow(Answer):
    """A finished UTC day or hour."""

    start_time: Moment
    end_time: Moment
    line_items: list[LineItem]


class Page(Answer):
    """One page of a month's usage. `latest_window_end` speaks of the whole month, and is None if it has no usage."""

    billing_period: str
    currency: Annotated[str, AfterValidator(currency)]
    organization_id: str | None = None
    latest_window_end: Moment | None = None
    data: list[TimeWindow]


class Named(Answer):
    """A project or an organisation."""

    id: str
    name: str | None = None


class Identity(Answer):
    """Whose key it is. A key of a person has neither a project nor an organisation."""

    organization: Named | None = None
    project: Named | None = None


class TogetherSettings(Settings):
    """The block `spec.together` of a Provider."""

    organization_id: str | None = Field(
        default=None,
        alias="organizationID",
        description="Id of the organisation to read. If absent, the one that the key belongs to.",
        min_length=1,
        max_length=256,
    )
    granularity: Literal["day", "hour"] = Field(
        default="day",
        description="Length of the windows: day or hour. Hours make 24 times as many rows, and tell today.",
    )
    base_url: str = Field(
        default="https://api.together.ai",
        alias="baseURL",
        description="Address of the API, without a version. Change it only for a proxy in front of it.",
        max_length=2048,
        pattern=r"^https?://\S+$",
    )


class Together(Connector[TogetherSettings]):
    """Reads the billing usage, month by month."""

    Settings = TogetherSettings
    traits: ClassVar[Traits] = Traits(
        type="together",
        title="Together AI",
        origin="api",
        gives="Cost per day or hour, product, model, project and API key's id, and the kind of credit that covers it.",
        grain="Hour",
        reach=None,
        settling=timedelta(days=1),
        moving=timedelta(days=5),
        credentials=(CredentialKey("apiKey", KEY),),
    )

    def __init__(self, settings: TogetherSettings, context: Context) -> None:
        super().__init__(settings, context)
        self.http.authorise({"Authorization": f"Bearer {context.credentials['apiKey'].strip()}"})
        self._identity: Identity | None = None

    async def check(self) -> Account:
        """Read the first window of this month, which tells a key that is refused from an API that is not enabled."""
        page, _ = await self._page(f"{self.context.now:%Y-%m}", 1, None)
        known = (await self._who()).organization
        return Account(page.organization_id or (known.id if known else None), known.name if known else None)

    async def windows(self, due: Sequence[Span], history: Span) -> list[Window]:
        """Whole months, which take one call each; by days, they end with yesterday, which is all that is told."""
        windows = whole_months(due, history)
        if self.settings.granularity == "hour":
            return windows
        today = midnight(self.context.now.date())
        return [Window(Span(window.start, min(window.end, today))) for window in windows if window.start < today]

    async def charges(self, window: Window) -> AsyncIterator[Sequence[Charge]]:
        """Every line of the window's days or hours."""
        for month in window.span.months():
            batch: list[Charge] = []
            for page in await self._pages(month):
                batch += self._charges(page, window)
                while len(batch) >= BATCH:
                    yield batch[:BATCH]
                    batch = batch[BATCH:]
            if batch:
                yield batch

    def _charges(self, page: Page, window: Window) -> list[Charge]:
        told = (each for each in page.data if window.start <= each.start_time < window.end)
        project = self._identity.project if self._identity else None
        return [charge(item, each, page, project) for each in told for item in each.line_items]

    async def _pages(self, month: datetime) -> list[Page]:
        """The whole month. Its pages are read one after the other: if it grew meanwhile, none of it is stored."""

        async def fetch(cursor: str | None) -> tuple[Page, str | None]:
            return await self._page(f"{month:%Y-%m}", MOST_WINDOWS, cursor)

        found = [page async for page in pages(fetch)]
        if len({page.latest_window_end for page in found}) > 1:
            raise RetryLater(f"Together's figures of {month:%Y-%m} moved while they were read.")
        _check_windows([each.start_time for page in found for each in page.data], month)
        return found

    async def _page(self, month: str, limit: int, cursor: str | None) -> tuple[Page, str | None]:
        organization = await self._organization()
        params = {"month": month, "granularity": self.settings.granularity, "organization_id": organization}
        answer = await self._ask(USAGE, {**params, "limit": limit, "after": cursor})
        page = read(Page, answer, "Together")
        if page.billing_period != month or organization not in (None, page.organization_id or organization):
            raise Bug(
                f"Together answered for {page.billing_period} of {page.organization_id}, which was not asked for."
            )
        return page, next_cursor(answer, more=None, cursor="next_cursor")

    async def _organization(self) -> str | None:
        """The organisation to name: Together wants it named one day. None where the key does not say."""
        if self.settings.organization_id is None:
            organization = (await self._who()).organization
            return organization.id if organization else None
        return self.settings.organization_id

    async def _who(self) -> Identity:
        """Whose key it is, asked for once a sync; nobody's where Together does not tell, since costs do not need it."""
        if self._identity is None:
            try:
                self._identity = read(Identity, await self._ask(WHOAMI, {}), "Together")
            except NeedsPerson:
                self._identity = Identity()
        return self._identity

    async def _ask(self, path: str, params: Mapping[str, str | int | None]) -> Any:
        try:
            return await self.http.json("GET", path, params=params)
        except Refused as refused:
            raise explained(refused) from None


def _check_windows(starts: Sequence[datetime], month: datetime) -> None:
    other = next((start for start in starts if (start.year, start.month) != (month.year, month.month)), None)
    if other is not None:
        raise Bug(f"Together answered with {other:%Y-%m-%d}, which it was not asked for.")
    if len(set(starts)) < len(starts):
        raise Bug(f"Together answered with a window of {month:%Y-%m} twice.", reason="CursorLoop")


def charge(item: LineItem, window: TimeWindow, page: Page, known: Named | None) -> Charge:
    """The charge that `item` is; `known` is the key's own project, the only one that Together names."""
    dimensions = item.pricing_dimensions
    project = item.attributes.get("project_id") or None
    return Charge(
        charge_period_start=window.start_time,
        charge_period_end=window.end_time,
        billing_currency=page.currency,
        billed_cost=item.cost,
        x_origin="api",
        service_name="Together AI",
        service_provider_name="Together AI",
        charge_frequency="Usage-Based",
        charge_description=item.product_name,
        service_category="AI and Machine Learning",
        billing_account_id=page.organization_id,
        sub_account_id=project,
        sub_account_name=known.name if known and known.id == project and known.name else project,
        region_id=dimensions.get("region") or None,
        sku_id=item.product_name,
        x_model=dimensions.get("model") or None,
        x_token_type=item.token_type,
        pricing_quantity=item.quantity,
        extra=_extra(item) or None,
    )


def _extra(item: LineItem) -> dict[str, object]:
    columns: Mapping[str, object] = {
        "x_unit_price": None if item.unit_price is None else plain(item.unit_price),
        "x_applied_credit": item.applied_credit.type if item.applied_credit else None,
        "x_api_key_id": item.attributes.get("api_key_id"),
        "x_pricing_dimensions": _without(item.pricing_dimensions, "model", "region"),
        "x_attributes": _without(item.attributes, "project_id", "api_key_id"),
    }
    return {name: value for name, value in columns.items() if value}


def _without(texts: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: text for name, text in texts.items() if name not in names}


def explained(refused: Refused) -> NeedsPerson:
    """The error to raise in the place of `refused`: `{"error": {"message"}}`, or `{"message"}` as others saw it."""
    body = refused.body if isinstance(refused.body, Mapping) else {}
    error = body.get("error")
    said = str((error.get("message") if isinstance(error, Mapping) else None) or body.get("message") or refused.text)
    advice = ADVICE.get(refused.status, f"Together refused the request ({refused.status}).")
    return NeedsPerson(f"{advice} Together said: {said[:300]}", reason=refused.reason)
