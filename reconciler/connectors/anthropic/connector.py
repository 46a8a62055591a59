"""Anthropic: what an organization of the Claude Console (Claude Platform) is billed for, by day.

Money comes from `GET /v1/organizations/cost_report` alone. Token counts come from
`GET /v1/organizations/usage_report/messages` and are attached to cost rows, never turned into money. What is
spent under a Priority Tier commitment is in no report's money. Facts:
platform.claude.com/docs/en/manage-claude/usage-cost-api and the reference pages beside it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, TypeVar

from pydantic import Field, ValidationError

from ledger.charge import Charge
from ledger.window import DAY, Span, Window, midnight
from reconciler.connectors.anthropic.bill import charges_of
from reconciler.connectors.anthropic.refusal import ADMIN_KEY, NotAllowed, explained
from reconciler.connectors.anthropic.report import Answer, CostRow, Day, Organization, Page, UsageRow, Workspace
from reconciler.connectors.base import BATCH, Account, Connector, Context, CredentialKey, Settings, Traits
from reconciler.connectors.http import Refused, next_cursor, pages
from reconciler.errors import Bug

ORGANIZATION: Final = "/v1/organizations/me"
WORKSPACES: Final = "/v1/organizations/workspaces"
COSTS: Final = "/v1/organizations/cost_report"
USAGE: Final = "/v1/organizations/usage_report/messages"

API_VERSION: Final = "2023-06-01"
MOST_DAYS: Final = 31
"""Days that one answer of either report may hold."""
MOST_WORKSPACES: Final = 1000
"""Workspaces that one answer may hold."""
MOST_PAGES: Final = 1000
"""Pages after which a list is taken for endless: a window has 31 days, and a page at least one of them."""

NO_NAMES: Final = "The key may not list workspaces, so they are shown by their ids; an Admin key may."

Params = list[tuple[str, str]]
R = TypeVar("R")
A = TypeVar("A", bound=Answer)


class AnthropicSettings(Settings):
    """The block `spec.anthropic` of a Provider."""

    base_url: str = Field(
        default="https://api.anthropic.com",
        alias="baseURL",
        description="Address of the API, without /v1. Change it only for a proxy in front of api.anthropic.com.",
        max_length=2048,
        pattern=r"^https?://\S+$",
    )
    days_per_call: int = Field(
        default=MOST_DAYS,
        alias="daysPerCall",
        description="Days asked for in one call, 1 to 31. Lower it when an answer is refused as too long.",
        ge=1,
        le=MOST_DAYS,
    )


class Anthropic(Connector[AnthropicSettings]):
    """Reads the cost report by workspace and description, and the tokens behind its rows."""

    Settings = AnthropicSettings
    traits: ClassVar[Traits] = Traits(
        type="anthropic",
        title="Anthropic",
        origin="api",
        gives=(
            "Billed cost per day, workspace, model, token type and tier, with token counts; web search, code "
            "execution and session costs; no Priority Tier commitments."
        ),
        grain="Day",
        reach=None,
        settling=timedelta(hours=6),
        moving=timedelta(days=7),
        longest_window=MOST_DAYS * DAY,
        rate_limit="once per minute when polling steadily",
        credentials=(CredentialKey("apiKey", ADMIN_KEY),),
    )

    def __init__(self, settings: AnthropicSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._key = context.credentials["apiKey"].strip()
        self.http.authorise({"x-api-key": self._key})
        self._names: Mapping[str, str] | None = None
        self._account: Organization | None = None

    async def check(self) -> Account:
        """Name the organization, and read one day of its costs: other keys may do the one and not the other."""
        organization = await self._organization()
        today = midnight(self.context.now.date())
        _parsed(Page[Day[CostRow]], await self._ask(COSTS, _days(Span(today - DAY, today), 1)), COSTS)
        try:
            await self._workspaces()
        except NotAllowed:
            return Account(organization.id, organization.name, notes=(NO_NAMES,))
        return Account(organization.id, organization.name)

    async def charges(self, window: Window) -> AsyncIterator[Sequence[Charge]]:
        """Every cost row of the window's days, with what was consumed for it where usage says so."""
        account, names = (await self._organization()).id, await self._workspace_names()
        usage = await self._usage(window.span)
        batch: list[Charge] = []
        async for day in self._report(Page[Day[CostRow]], COSTS, window.span, "workspace_id", "description"):
            batch += charges_of(day, usage.get(day.starting_at, ()), account, names)
            while len(batch) >= BATCH:
                yield batch[:BATCH]
                batch = batch[BATCH:]
        if batch:
            yield batch

    async def _usage(self, span: Span) -> Mapping[datetime, Sequence[UsageRow]]:
        split = ("workspace_id", "model", "service_tier", "context_window", "inference_geo")
        days = self._report(Page[Day[UsageRow]], USAGE, span, *split)
        return {day.starting_at: day.results async for day in days}

    async def _report(self, kind: type[Page[Day[R]]], path: str, span: Span, *groups: str) -> AsyncIterator[Day[R]]:
        """Each day of `span` once, split by `groups`."""
        params = [*_days(span, self.settings.days_per_call), *(("group_by[]", name) for name in groups)]
        seen: set[datetime] = set()
        async for page in self._pages(kind, path, params):
            for day in page.data:
                _check_day(day, span, seen)
                seen.add(day.starting_at)
                yield day

    async def _workspace_names(self) -> Mapping[str, str]:
        """Names by workspace id, asked for once a sync."""
        if self._names is None:
            try:
                self._names = await self._workspaces()
            except NotAllowed:  # ids are enough to tell workspaces apart, and the costs do not wait for names
                self._names = {}
        return self._names

    async def _workspaces(self) -> Mapping[str, str]:
        params = [("include_archived", "true"), ("include_default", "true"), ("limit", str(MOST_WORKSPACES))]
        listed = self._pages(Page[Workspace], WORKSPACES, params, given="last_id", sent="after_id")
        return {workspace.id: workspace.name async for page in listed for workspace in page.data}

    async def _organization(self) -> Organization:
        if self._account is None:
            self._account = _parsed(Organization, await self._ask(ORGANIZATION, []), ORGANIZATION)
        return self._account

    async def _pages(
        self, kind: type[A], path: str, params: Params, *, given: str = "next_page", sent: str = "page"
    ) -> AsyncIterator[A]:
        """Every page of a list: its cursor stands in field `given` and goes into parameter `sent`."""

        async def fetch(cursor: str | None) -> tuple[A, str | None]:
            asked = params if cursor is None else [*params, (sent, cursor)]
            answer = await self._ask(path, asked)
            return _parsed(kind, answer, path), next_cursor(answer, cursor=given)

        async for page in pages(fetch, max_pages=MOST_PAGES):
            yield page

    async def _ask(self, path: str, params: Params) -> Any:
        try:
            return await self.http.json("GET", path, params=params, headers={"anthropic-version": API_VERSION})
        except Refused as refused:
            raise explained(refused, self._key) from None


def _days(span: Span, per_call: int) -> Params:
    form = "%Y-%m-%dT%H:%M:%SZ"
    return [
        ("starting_at", f"{span.start:{form}}"),
        ("ending_at", f"{span.end:{form}}"),
        ("bucket_width", "1d"),
        ("limit", str(per_call)),
    ]


def _check_day(day: Day[R], span: Span, seen: Collection[datetime]) -> None:
    """Refuse costs of other days, which would empty those asked for, and days that come back, which count twice."""
    if day.results and not span.start <= day.starting_at < span.end:
        raise Bug(f"Anthropic answered with {day.starting_at:%Y-%m-%d}, which it was not asked for.")
    if day.starting_at in seen:
        raise Bug(f"Anthropic answered with {day.starting_at:%Y-%m-%d} twice.", reason="CursorLoop")


def _parsed(kind: type[A], answer: Any, path: str) -> A:
    try:
        return kind.model_validate(answer)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the answer"
        raise Bug(f"{path} answered what its reference does not allow, at {where}: {first['msg']}") from None
