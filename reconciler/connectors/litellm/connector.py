"""LiteLLM's proxy, read from its daily activity, one UTC day at a time.

The guide is docs/connectors/litellm.md.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, ClassVar, Final

from pydantic import Field

from ledger.charge import Charge
from ledger.window import DAY, Window
from reconciler.connectors.base import BATCH, Account, Connector, Context, CredentialKey, Settings, Traits
from reconciler.connectors.http import Refused, pages
from reconciler.connectors.litellm.bill import charges_of
from reconciler.connectors.litellm.report import Page, whole
from reconciler.connectors.reading import Answer, read
from reconciler.errors import Bug, NeedsPerson, RetryLater

ACTIVITY: Final = "/user/daily/activity"
TEAMS: Final = "/v2/team/list"
MOST_ROWS: Final = 1000
"""Rows that a page of the activity may hold."""
MOST_TEAMS: Final = 100
"""Teams that a page of their list may hold."""
NOBODY: Final = "costhook-asks-whether-this-key-sees-everybody"
"""A user that does not exist. Asking for somebody else's spend is refused unless the key sees everybody's."""

KEY: Final = (
    "a virtual key of a user with the role proxy_admin_viewer (Admin Viewer), or the master key: see "
    "docs/connectors/litellm.md"
)
ADVICE: Final = {
    401: f"LiteLLM does not know the key: it is mistyped, expired, blocked or deleted. Activity is read with {KEY}.",
    403: f"The key sees its own spend only, or may not call this route. Activity of everybody is read with {KEY}.",
    404: "There is no daily activity at this address: check litellm.baseURL, which has no path, and that the proxy is "
    "LiteLLM 1.70 or newer. See docs/connectors/litellm.md.",
}
NO_DATABASE: Final = (
    "The proxy has no database, so it keeps no spend: set DATABASE_URL for it. See docs/connectors/litellm.md."
)


class Team(Answer):
    """An entry of /v2/team/list."""

    team_id: str
    team_alias: str | None = None


class Teams(Answer):
    """A page of /v2/team/list."""

    teams: list[Team]
    total_pages: int


class LiteLLMSettings(Settings):
    """The block `spec.litellm` of a Provider."""

    base_url: str = Field(
        alias="baseURL",
        description="Address of the proxy, without a path, such as http://litellm.ai.svc:4000.",
        max_length=2048,
        pattern=r"^https?://\S+$",
    )


class LiteLLM(Connector[LiteLLMSettings]):
    """Reads the activity that a proxy has written down."""

    Settings = LiteLLMSettings
    traits: ClassVar[Traits] = Traits(
        type="litellm",
        title="LiteLLM proxy",
        origin="estimate",
        gives="What calls cost by LiteLLM's own price map, by day, team, API key's alias, user, model and provider, "
        "with tokens; models without a price are unpriced lines.",
        grain="Day",
        reach=None,
        settling=timedelta(hours=1),
        moving=timedelta(days=3),
        longest_window=DAY,
        attribution_only=True,
        credentials=(CredentialKey("apiKey", KEY),),
    )

    def __init__(self, settings: LiteLLMSettings, context: Context) -> None:
        super().__init__(settings, context)
        self.http.authorise({"Authorization": f"Bearer {context.credentials['apiKey'].strip()}"})
        self._names: Mapping[str, str] | None = None

    async def check(self) -> Account:
        """Ask for another user's activity, which only a key that sees everybody's may."""
        await self._sees_everybody()
        return Account()

    async def charges(self, window: Window) -> AsyncIterator[Sequence[Charge]]:
        """Every model, key and provider of the window's days."""
        for piece in window.span.pieces():
            day = piece.start.date()
            told = whole(each for page in await self._pages(day) for each in page.results)
            found = list(charges_of(day, told, await self._team_names()))
            for start in range(0, len(found), BATCH):
                yield found[start : start + BATCH]

    async def _pages(self, day: date) -> list[Page]:
        """All pages of a day. Rows that come meanwhile move the others: if there are more pages then, none is kept."""

        async def fetch(number: int | None) -> tuple[Page, int | None]:
            return await self._page(day, number or 1)

        found = [page async for page in pages(fetch)]
        if len({page.metadata.total_pages for page in found}) > 1:
            raise RetryLater(f"LiteLLM's activity of {day} grew while it was read.")
        return found

    async def _page(self, day: date, number: int) -> tuple[Page, int | None]:
        page = read(Page, await self._ask(ACTIVITY, {**_of(day), "page": number, "page_size": MOST_ROWS}), "LiteLLM")
        if page.metadata.page != number:
            raise Bug(f"LiteLLM answered with page {page.metadata.page} for page {number}.", reason="CursorLoop")
        other = next((each.date for each in page.results if each.date != day), None)
        if other is not None:
            raise Bug(f"LiteLLM answered with {other}, which it was not asked for.")
        return page, number + 1 if page.metadata.has_more else None

    async def _team_names(self) -> Mapping[str, str]:
        """Names by id, asked for once a sync, after making sure that the key sees everybody's spend."""
        if self._names is None:
            await self._sees_everybody()
            try:
                self._names = {team.team_id: team.team_alias or team.team_id for team in await self._teams()}
            except NeedsPerson:  # ids are enough to tell teams apart, and the costs do not wait for names
                self._names = {}
        return self._names

    async def _sees_everybody(self) -> None:
        today = _of(self.context.now.date())
        read(Page, await self._ask(ACTIVITY, {**today, "page_size": 1, "user_id": NOBODY}), "LiteLLM")

    async def _teams(self) -> list[Team]:
        async def fetch(number: int | None) -> tuple[list[Team], int | None]:
            page = number or 1
            answer = read(Teams, await self._ask(TEAMS, {"page": page, "page_size": MOST_TEAMS}), "LiteLLM")
            return answer.teams, page + 1 if page < answer.total_pages else None

        return [team async for page in pages(fetch) for team in page]

    async def _ask(self, path: str, params: Mapping[str, str | int]) -> Any:
        try:
            return await self.http.json("GET", path, params=params)
        except Refused as refused:
            raise explained(refused) from None
        except RetryLater as error:
            if "not connected" in str(error).lower():
                raise NeedsPerson(NO_DATABASE, reason="NotFound") from None
            raise


def _of(day: date) -> dict[str, str]:
    return {"start_date": f"{day}", "end_date": f"{day}"}


def explained(refused: Refused) -> NeedsPerson:
    """The error to raise in the place of `refused`: `{"error": {"message"}}`, or `{"detail": {"error"}}`."""
    body = refused.body if isinstance(refused.body, Mapping) else {}
    error = body.get("error") or body.get("detail")
    said = (error.get("message") or error.get("error")) if isinstance(error, Mapping) else error
    advice = ADVICE.get(
        refused.status, f"LiteLLM refused the request ({refused.status}); see docs/connectors/litellm.md."
    )
    return NeedsPerson(f"{advice} LiteLLM said: {str(said or refused.text)[:300]}", reason=refused.reason)
