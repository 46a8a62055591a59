"""Vercel: what a team is billed for, by day, project and product.

Money comes from `GET /v1/billing/charges`, a stream of FOCUS rows. What a row's BilledCost is depends on the period
asked for, because Vercel spreads the usage that the plan includes over that period. Only a whole month adds up to
what is due, so every read asks for a month of Vercel's own days, or for the month so far, and replaces all of it.
Facts: vercel.com/docs/rest-api/billing, and what callers of the API observed (docs/connectors/vercel.md says which).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, ClassVar, Final

from pydantic import Field

from ledger.charge import Charge
from ledger.window import Span, Window
from reconciler.connectors.base import Account, Connector, Context, CredentialKey, Settings, Traits
from reconciler.connectors.http import Answer, Refused
from reconciler.connectors.vercel import bill, pacific
from reconciler.connectors.vercel.refusal import NO_COSTS, TOKEN, NoCosts, explained
from reconciler.errors import RetryLater

CHARGES: Final = "/v1/billing/charges"
LONGEST_ANSWER: Final = 4 * 1024**3
"""Bytes of a month; some have 15 MB."""
CHECKED_DAYS: Final = 7
"""Finished days that `check` asks for."""


class VercelSettings(Settings):
    """The block `spec.vercel` of a Provider."""

    base_url: str = Field(
        default="https://api.vercel.com",
        alias="baseURL",
        description="Address of the API, without /v1. Change it only for a proxy in front of api.vercel.com.",
        max_length=2048,
        pattern=r"^https?://\S+$",
    )
    team: str | None = Field(
        default=None,
        description="The team's id (team_...) or slug, the name in its dashboard's address. Without it Vercel answers "
        "for the token's own scope.",
        min_length=1,
        max_length=256,
        pattern=r"^[A-Za-z0-9._-]+$",
    )


class Vercel(Connector[VercelSettings]):
    """Reads whole months, and the month so far, of what Vercel bills."""

    Settings = VercelSettings
    traits: ClassVar[Traits] = Traits(
        type="vercel",
        title="Vercel",
        origin="api",
        gives="Billed cost per day (in Los Angeles), project, product and region, with quantities; seats and credits.",
        grain="Day",
        reach=None,
        settling=timedelta(days=1),
        moving=timedelta(days=31),
        credentials=(CredentialKey("apiKey", TOKEN),),
    )

    def __init__(self, settings: VercelSettings, context: Context) -> None:
        super().__init__(settings, context)
        self._token = context.credentials["apiKey"].strip()
        self.http.authorise({"Authorization": f"Bearer {self._token}"})

    async def check(self) -> Account:
        """Read the newest finished days: a token of the wrong kind or role may not, and a Hobby account has none."""
        async for _ in self.charges(Window(pacific.trailing_days(CHECKED_DAYS, self.context.now))):
            pass
        return Account(id=self.settings.team)

    async def windows(self, due: Sequence[Span], history: Span) -> list[Window]:
        """The months of Vercel's that hold what is due, as far as they are over, newest first.

        Months that Vercel has no figures for are left out, and so stay unread: unknown is not zero, and what an
        earlier sync stored of them is kept. Raises NoCosts if that is all of them.
        """
        months = pacific.months(due, self.context.now)
        windows = [Window(month) for month in months if await self._is_known(month)]
        if months and not windows:
            raise NoCosts(NO_COSTS)
        return windows

    async def charges(self, window: Window) -> AsyncIterator[Sequence[Charge]]:
        """Every line of the window's bill."""
        with NamedTemporaryFile(prefix="costhook-") as copy:
            await self._bring(window.span, copy)
            path = Path(copy.name)
            if await asyncio.to_thread(bill.is_cut, path):
                raise RetryLater("Vercel's answer breaks off within its last line")
            batches = bill.charges(path, window.span, self.settings.team)
            while (batch := await asyncio.to_thread(next, batches, None)) is not None:
                yield batch

    async def _is_known(self, span: Span) -> bool:
        """Whether Vercel has figures for `span`: the beginning of the answer tells."""
        try:
            async with self._asked(span) as answer:
                async for part in answer.chunks():
                    if part.strip():
                        return True
        except NoCosts:
            return False
        return False

    async def _bring(self, span: Span, copy: IO[bytes]) -> None:
        """Write the answer for `span` to `copy`. An empty one raises NoCosts: it does not say that nothing was used."""
        async with self._asked(span) as answer:
            blank = True
            try:
                async for part in answer.chunks():
                    blank = blank and not part.strip()
                    copy.write(part)
                copy.flush()
            except OSError as error:
                raise RetryLater(
                    f"Vercel's answer cannot be copied to a temporary file: {error.strerror}", reason="NoSpace"
                ) from error
        if blank:
            raise NoCosts(NO_COSTS)

    @asynccontextmanager
    async def _asked(self, span: Span) -> AsyncIterator[Answer]:
        team = self.settings.team or ""
        named = {"teamId" if team.startswith("team_") else "slug": team or None}
        times = {"from": f"{span.start:%Y-%m-%dT%H:%M:%S.000Z}", "to": f"{span.end:%Y-%m-%dT%H:%M:%S.000Z}"}
        try:
            async with self.http.stream("GET", CHARGES, params={**times, **named}, limit=LONGEST_ANSWER) as answer:
                yield answer
        except Refused as refused:
            raise explained(refused, self._token) from None
