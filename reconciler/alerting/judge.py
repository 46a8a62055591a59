"""Keeps alerts judged and messages delivered: after every sync, on every change, and when time alone decides."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

import structlog

from ledger import resources
from ledger.alerts import book, evaluation, outbox
from ledger.errors import LedgerError
from reconciler.alerting.delivery import Delivery
from reconciler.deps import Deps
from reconciler.sources.base import Key

log = structlog.get_logger()

POLL: Final = timedelta(seconds=15)
"""How often it is looked whether another process left something to judge or to deliver."""
_BURST: Final = 0.2
"""Seconds for which what happens is looked at together."""
_PAUSE: Final = 1.0
"""Seconds after the database failed."""


class Judge:
    """Judges what is due in the whole ledger, and delivers for the channels of one source.

    `wake` is told the resources whose status is to be shown anew.
    """

    def __init__(self, deps: Deps, wake: Callable[[Key], None]) -> None:
        self._deps, self._wake = deps, wake
        self._delivery = Delivery(deps, wake)
        self._bell, self._post = asyncio.Event(), asyncio.Event()

    def ring(self) -> None:
        """Something was synced or changed: look now."""
        self._bell.set()
        self._post.set()

    async def run(self) -> None:
        """Judge and deliver until cancelled."""
        while True:
            try:
                self._bell.clear()
                await self.judge()
                wait = await self._until_next()
            except LedgerError as error:
                log.warning("alerts cannot be judged now", error=str(error))
                await asyncio.sleep(_PAUSE)
                continue
            await _heard(self._bell, wait)

    async def deliver(self) -> None:
        """Deliver until cancelled; beside judging, so that a slow receiver keeps no alert waiting."""
        while True:
            self._post.clear()
            try:
                while await self._delivery.round():
                    pass
                for key in await self._channels():
                    await self._delivery.resend(key)
                wait = await self._until_delivery()
            except LedgerError as error:
                log.warning("messages cannot be delivered now", error=str(error))
                wait = timedelta(seconds=_PAUSE)
            await _heard(self._post, wait)

    async def judge(self) -> bool:
        """Judge all that is due; whether anything was."""
        any_judged = False
        while judged := await evaluation.evaluate(self._deps.db, self._deps.now()):
            any_judged = True
            if judged.told:
                self._post.set()
            for alert in judged.shown:
                self._wake(Key("Alert", *alert))
            for namespace in {provider.namespace for provider in judged.providers}:
                for name in await resources.names(self._deps.db, namespace, "Budget"):
                    self._wake(Key("Budget", namespace, name))
        return any_judged

    async def settle(self) -> None:
        """Deliver what is due now, once."""
        while await self._delivery.round():
            pass

    async def _channels(self) -> list[Key]:
        seen = await resources.of_source(self._deps.db, self._deps.source_name, "Channel")
        return [Key(each.ref.kind, each.ref.namespace, each.ref.name) for each in seen]

    async def _until_next(self) -> timedelta:
        async with self._deps.db.transaction() as connection:
            return self._wait(await book.soonest(connection))

    async def _until_delivery(self) -> timedelta:
        return self._wait(await outbox.soonest(self._deps.db, self._deps.source_name))

    def _wait(self, at: datetime | None) -> timedelta:
        return POLL if at is None else max(timedelta(), min(at - self._deps.now(), POLL))


async def _heard(bell: asyncio.Event, longest: timedelta) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(longest.total_seconds()):
            await bell.wait()
            await asyncio.sleep(_BURST)
