"""OpenRouter: what an account's calls took from its credits, by day, workspace, model and endpoint.

Money comes from `GET /activity` alone, asked for one completed UTC day at a time. What calls with the user's own
provider keys cost (BYOK) is billed by that provider: it is told beside the charge and in no amount. Facts:
openrouter.ai/docs/api-reference and the specification in github.com/OpenRouterTeam/typescript-sdk (August 2026).
The guide is docs/connectors/openrouter.md.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Final

from pydantic import BeforeValidator, Field

from ledger.charge import Charge
from ledger.money import plain
from ledger.window import DAY, Span, Window, midnight
from reconciler.connectors.base import BATCH, Account, Connector, Context, CredentialKey, Settings, Traits
from reconciler.connectors.http import Refused, pages
from reconciler.connectors.reading import Answer, Number, read
from reconciler.errors import Bug, NeedsPerson, ReconcilerError, RetryLater

ACTIVITY: Final = "/activity"
WORKSPACES: Final = "/workspaces"
REACH: Final = 30 * DAY
"""Completed UTC days that the activity goes back."""
ROLLOVER: Final = timedelta(minutes=30)
"""After midnight UTC, how long the day before is left alone: OpenRouter asks for about that."""
MOST_WORKSPACES: Final = 100
"""Workspaces that one answer may hold."""

MANAGEMENT_KEY: Final = (
    "Activity is read with a management key, which is made at https://openrouter.ai/settings/management-keys; the key "
    "goes into the Secret as apiKey."
)
ADVICE: Final = {
    401: f"OpenRouter does not know the key: it is mistyped, disabled or deleted. {MANAGEMENT_KEY}",
    403: f"The key may not read the account's activity: it is an API key for calling models, or limited. "
    f"{MANAGEMENT_KEY}",
    404: "There is no activity at this address; check openrouter.baseURL, which ends in /api/v1.",
}


def _day(value: object) -> date:
    """The UTC day of `2026-03-02`, also where a time stands behind it."""
    if not isinstance(value, str):
        raise ValueError("not a date")
    return date.fromisoformat(value[:10])


class Activity(Answer):
    """What one endpoint of one model did in a day. Amounts are dollars: OpenRouter's credits are."""

    date: Annotated[date, BeforeValidator(_day)]
    model: str = Field(min_length=1)
    usage: Number
    byok_usage_inference: Number | None = None
    model_permaslug: str | None = None
    endpoint_id: str | None = None
    provider_name: str | None = None
    workspace_id: str | None = None
    requests: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None

    @property
    def tokens(self) -> Decimal | None:
        """Tokens in and out; reasoning is part of what comes out. None where the row does not count them."""
        if self.prompt_tokens is None or self.completion_tokens is None:
            return None
        return Decimal(self.prompt_tokens + self.completion_tokens)


class ActivityDay(Answer):
    """The answer of /activity."""

    data: list[Activity]


class Workspace(Answer):
    """An entry of /workspaces."""

    id: str
    name: str | None = None


class Workspaces(Answer):
    """The answer of /workspaces."""

    data: list[Workspace]


class OpenRouterSettings(Settings):
    """The block `spec.openrouter` of a Provider."""

    base_url: str = Field(
        default="https://openrouter.ai/api/v1",
        alias="baseURL",
        description="Address of the API, with its version. Change it only for a proxy in front of openrouter.ai.",
        max_length=2048,
        pattern=r"^https?://\S+$",
    )


class OpenRouter(Connector[OpenRouterSettings]):
    """Reads the activity of every completed day that OpenRouter still tells."""

    Settings = OpenRouterSettings
    traits: ClassVar[Traits] = Traits(
        type="openrouter",
        title="OpenRouter",
        origin="api",
        gives="Credits spent per completed day, workspace, model, endpoint and host, with tokens; no BYOK inference.",
        grain="Day",
        reach=REACH,
        settling=timedelta(hours=6),
        moving=timedelta(days=7),
        longest_window=DAY,
        credentials=(CredentialKey("apiKey", MANAGEMENT_KEY),),
    )

    def __init__(self, settings: OpenRouterSettings, context: Context) -> None:
        super().__init__(settings, context)
        self.http.authorise({"Authorization": f"Bearer {context.credentials['apiKey'].strip()}"})
        self._names: Mapping[str, str] | None = None

    async def check(self) -> Account:
        """Read the last completed day, which keys for calling models may not."""
        await self._activity(_told(self.context.now).end - DAY)
        return Account()

    async def windows(self, due: Sequence[Span], history: Span) -> list[Window]:
        """Each due day that is completed and still told: today, and days before the reach, are left as they are."""
        windows = await super().windows(due, history)
        told = _told(self.context.now)
        return [window for window in windows if told.start <= window.start < told.end]

    async def charges(self, window: Window) -> AsyncIterator[Sequence[Charge]]:
        """Every row of the window's days."""
        for piece in window.span.pieces():
            rows = await self._activity(piece.start)
            names = await self._workspace_names() if any(row.workspace_id for row in rows) else {}
            for start in range(0, len(rows), BATCH):
                yield [charge(row, names) for row in rows[start : start + BATCH]]

    async def _activity(self, day: datetime) -> list[Activity]:
        params = {"date": f"{day:%Y-%m-%d}", "group_by": "workspace"}
        rows = read(ActivityDay, await self._ask(ACTIVITY, params), "OpenRouter").data
        other = next((row.date for row in rows if row.date != day.date()), None)
        if other is not None:
            raise Bug(f"OpenRouter answered with {other}, which it was not asked for.")
        return rows

    async def _workspace_names(self) -> Mapping[str, str]:
        """Names by id, asked for once a sync."""
        if self._names is None:
            try:
                self._names = {space.id: space.name or space.id for space in await self._workspaces()}
            except NeedsPerson:  # ids are enough to tell workspaces apart, and the costs do not wait for names
                self._names = {}
        return self._names

    async def _workspaces(self) -> list[Workspace]:
        async def fetch(offset: int | None) -> tuple[list[Workspace], int | None]:
            params = {"offset": offset or 0, "limit": MOST_WORKSPACES}
            found = read(Workspaces, await self._ask(WORKSPACES, params), "OpenRouter").data
            return found, (offset or 0) + len(found) if len(found) == MOST_WORKSPACES else None

        return [space async for page in pages(fetch) for space in page]

    async def _ask(self, path: str, params: Mapping[str, str | int]) -> Any:
        try:
            return await self.http.json("GET", path, params=params)
        except Refused as refused:
            raise explained(refused) from None


def _told(now: datetime) -> Span:
    """The days that /activity tells: the last 30 completed ones, of which the newest rests for half an hour."""
    return Span(midnight(now.date()) - REACH, midnight((now - ROLLOVER).date()))


def charge(row: Activity, names: Mapping[str, str]) -> Charge:
    """The charge that `row` is; `names` are those of the workspaces by id."""
    start = midnight(row.date)
    sku = row.model_permaslug or row.model
    return Charge(
        charge_period_start=start,
        charge_period_end=start + DAY,
        billing_currency="USD",
        billed_cost=row.usage,
        x_origin="api",
        service_name="OpenRouter API",
        service_provider_name="OpenRouter",
        charge_frequency="Usage-Based",
        charge_description=f"{sku} by {row.provider_name}" if row.provider_name else sku,
        service_category="AI and Machine Learning",
        sub_account_id=row.workspace_id or None,
        sub_account_name=names.get(row.workspace_id, row.workspace_id) if row.workspace_id else None,
        sku_id=sku,
        x_model=row.model,
        consumed_quantity=row.tokens,
        consumed_unit="Tokens",
        extra=_extra(row) or None,
    )


def _extra(row: Activity) -> dict[str, object]:
    """What has no column of its own. A zero of BYOK says that no such call was made, and is left out."""
    columns = {
        "x_byok_usage_inference": plain(row.byok_usage_inference) if row.byok_usage_inference else None,
        "x_host_provider": row.provider_name,
        "x_endpoint_id": row.endpoint_id,
        "x_requests": row.requests,
        "x_input_tokens": row.prompt_tokens,
        "x_output_tokens": row.completion_tokens,
        "x_reasoning_tokens": row.reasoning_tokens,
    }
    return {name: value for name, value in columns.items() if value not in (None, "")}


def explained(refused: Refused) -> ReconcilerError:
    """The error to raise in the place of `refused`. The envelope is `{"error": {"code", "message"}}`."""
    error = refused.body.get("error") if isinstance(refused.body, Mapping) else None
    said = str((isinstance(error, Mapping) and error.get("message")) or refused.text)[:300]
    if refused.status == 400 and "completed" in said:
        return RetryLater(f"A day left the 30 that OpenRouter tells while it was asked for. It said: {said}")
    advice = ADVICE.get(refused.status, f"OpenRouter refused the request ({refused.status}).")
    return NeedsPerson(f"{advice} OpenRouter said: {said}", reason=refused.reason)
