"""Mistral, read from the Admin API, which is in preview and part of Enterprise plans.

The guide is docs/connectors/mistral.md.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, Literal

from pydantic import Field

from ledger.charge import Charge
from ledger.window import Span, Window, midnight, month_start, whole_months
from reconciler.connectors.base import BATCH, Account, Connector, Context, CredentialKey, Traits
from reconciler.connectors.http import Refused, pages
from reconciler.connectors.mistral.bill import Workspace, charge, common, rest, storage, tariff_of
from reconciler.connectors.mistral.usage import Usage
from reconciler.connectors.pricing import PricedSettings, fees
from reconciler.connectors.reading import Answer, read
from reconciler.errors import Bug, NeedsPerson

USAGE: Final = "/usage"
WORKSPACES: Final = "/workspaces"
MOST_WORKSPACES: Final = 100

KEY: Final = (
    "an Admin API key of the organisation, made at backoffice.mistral.ai > API keys, which takes an Enterprise plan: "
    "see docs/connectors/mistral.md"
)
ADVICE: Final = {
    401: f"Mistral does not know the key: it is mistyped, expired or deleted, or one for calling models. It takes "
    f"{KEY}.",
    403: f"The key may not read the organisation's usage: it is one for calling models, or the plan has no Admin API. "
    f"It takes {KEY}.",
    404: "Mistral shows no usage: the Admin API is in preview and part of Enterprise plans. If yours has it, check "
    "mistral.baseURL and the organisation that the key is tied to. See docs/connectors/mistral.md.",
}


class WorkspaceRow(Answer):
    """An entry of /workspaces."""

    uuid: str
    name: str | None = None


class Workspaces(Answer):
    """A page of /workspaces."""

    total: int
    items: list[WorkspaceRow]
    page: int
    page_size: int


class MistralSettings(PricedSettings):
    """The block `spec.mistral` of a Provider."""

    split: Literal["Workspace", "None"] = Field(
        default="Workspace",
        description="Workspace asks for the usage of each workspace, which takes a call for each and month; None asks "
        "once for the whole organisation.",
    )
    base_url: str = Field(
        default="https://api.mistral.ai/v1/admin",
        alias="baseURL",
        description="Address of the Admin API, with its version. Change it only for a proxy in front of it.",
        max_length=2048,
        pattern=r"^https?://\S+$",
    )


class Mistral(Connector[MistralSettings]):
    """Reads an organisation's usage, month by month."""

    Settings = MistralSettings
    traits: ClassVar[Traits] = Traits(
        type="mistral",
        title="Mistral AI",
        origin="estimate",
        gives="Usage per day, workspace, model and token type, times the price list in Mistral's own answer.",
        grain="Day",
        reach=None,
        settling=timedelta(days=1),
        moving=timedelta(days=5),
        credentials=(CredentialKey("apiKey", KEY),),
    )

    def __init__(self, settings: MistralSettings, context: Context) -> None:
        super().__init__(settings, context)
        key = context.credentials["apiKey"].strip()
        self.http.authorise({"x-api-key": key, "Authorization": f"Bearer {key}"})
        self._workspaces: Sequence[Workspace] | None = None

    async def check(self) -> Account:
        """Read this month's usage, which keys for calling models may not."""
        await self._usage(self.context.now, Workspace())
        return Account()

    async def windows(self, due: Sequence[Span], history: Span) -> list[Window]:
        """Whole months: a call tells one, whatever part of it is due."""
        return whole_months(due, history)

    async def charges(self, window: Window) -> AsyncIterator[Sequence[Charge]]:
        """Every line of the window's days, and the plan's fees."""
        for month in window.span.months():
            found = [each for each in await self._month(month) if window.start <= each.charge_period_start < window.end]
            for start in range(0, len(found), BATCH):
                yield found[start : start + BATCH]
        yield fees(self.settings.plan, window.span, common(window.start))

    async def _month(self, month: datetime) -> list[Charge]:
        whole = await self._usage(month, Workspace())
        parts = [(each, await self._usage(month, each)) for each in await self._known_workspaces()]
        return list(self._charges(whole, parts))

    def _charges(self, whole: Usage, parts: Sequence[tuple[Workspace, Usage]]) -> Iterator[Charge]:
        tariff = tariff_of(self.settings.tariff("mistral"), whole)
        for workspace, usage in parts:
            yield from (charge(line, tariff, workspace) for line in usage.lines())
        for line in rest(whole, [usage for _, usage in parts]):
            yield charge(line, tariff, Workspace())
        yield from storage(whole, tariff)

    async def _usage(self, month: datetime, workspace: Workspace) -> Usage:
        params = {"month": f"{month.month}", "year": f"{month.year}", "workspace_id": workspace.id}
        usage = read(Usage, await self._ask(USAGE, params), "Mistral")
        days = (usage.start_date, *(line.row.timestamp for line in usage.lines()))
        other = next((day for day in days if month_start(midnight(day)) != month_start(month)), None)
        if other is not None:
            raise Bug(f"Mistral answered with {other}, which it was not asked for.")
        return usage

    async def _known_workspaces(self) -> Sequence[Workspace]:
        """All workspaces, asked for once a sync; none where they are not wanted or not told."""
        if self._workspaces is None:
            try:
                self._workspaces = await self._list_workspaces() if self.settings.split == "Workspace" else []
            except NeedsPerson:  # the organisation's usage is complete without them
                self._workspaces = []
        return self._workspaces

    async def _list_workspaces(self) -> list[Workspace]:
        async def fetch(number: int | None) -> tuple[list[WorkspaceRow], int | None]:
            page = number or 1
            params = {"page": page, "page_size": MOST_WORKSPACES, "is_archived": "true"}
            answer = read(Workspaces, await self._ask(WORKSPACES, params), "Mistral")
            if answer.page != page:
                raise Bug(f"Mistral answered with page {answer.page} for page {page}.", reason="CursorLoop")
            seen = (page - 1) * answer.page_size + len(answer.items)
            return answer.items, page + 1 if answer.items and seen < answer.total else None

        return [Workspace(row.uuid, row.name or row.uuid) async for page in pages(fetch) for row in page]

    async def _ask(self, path: str, params: Mapping[str, Any]) -> Any:
        try:
            return await self.http.json("GET", path, params=params)
        except Refused as refused:
            raise explained(refused) from None


def explained(refused: Refused) -> NeedsPerson:
    """The error to raise in the place of `refused`: `{"object": "error", "message"}`, or `{"detail"}`."""
    body = refused.body if isinstance(refused.body, Mapping) else {}
    said = str(body.get("message") or body.get("detail") or refused.text)
    advice = ADVICE.get(
        refused.status, f"Mistral refused the request ({refused.status}); see docs/connectors/mistral.md."
    )
    return NeedsPerson(f"{advice} Mistral said: {said[:300]}", reason=refused.reason)
