"""What `costhook up` shows: syncs as they go, the table, where GraphiQL is, and then whatever changes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime
from typing import Final

from rich.console import Console
from rich.text import Text

from api.terminal import providers
from api.terminal.layout import write_json
from api.terminal.syncs import LOOK, Bars, follow, newest, pause, since
from ledger.database import ReaderDB
from ledger.errors import DatabaseUnavailable
from ledger.reads.declared import unready
from ledger.reads.providers import Provider

Name = tuple[str, str, str]
"""Kind, namespace and name of a resource."""

CALM: Final = 1.0
"""Seconds between two looks while nothing is synced."""


class View:
    """One run of `up` on the terminal.

    `declared` names what the manifests declare now, `problems` says what is wrong with them. With `as_json` the
    table is all that goes to standard output.
    """

    def __init__(
        self,
        db: ReaderDB,
        consoles: tuple[Console, Console],
        declared: Callable[[], Awaitable[Collection[Name]]],
        problems: Callable[[], Sequence[str]],
        clock: Callable[[], datetime],
        *,
        as_json: bool,
    ) -> None:
        self._db, self._declared, self._problems, self._clock = db, declared, problems, clock
        self._out, self._err = consoles
        self._as_json = as_json
        self._side = self._err if as_json else self._out
        self._after = 0
        self._ended: frozenset[int] = frozenset()
        self._problems_told: Sequence[str] = ()
        self._turns_told: dict[Name, tuple[str, str]] = {}
        self._unready_told: Sequence[str] = ()

    async def during(self, work: Awaitable[None]) -> None:
        """Show the syncs that begin while `work` goes on."""
        self._after, over = await newest(self._db), asyncio.Event()
        with Bars(self._side) as bars:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(follow(self._db, self._after, over, bars.show))
                try:
                    await work
                finally:
                    over.set()
        self._ended = bars.ended

    async def report(self) -> int:
        """Show the table, and what keeps it from being whole; the exit code that says whether anything does."""
        names = await self._declared()
        rows = [row for row in await providers.overview(self._db, self._clock()) if _name(row.provider) in names]
        self._problems_told = self._problems()
        self._turns_told = {_name(row.provider): row.turn for row in rows}
        self._unready_told = await self._unready(names)
        if self._as_json:
            write_json(providers.as_json(rows))
            for reason in providers.reasons(rows):
                self._say(reason, "red")
        elif rows:
            self._out.print(providers.shown(rows, self._out))
        else:
            self._out.print("The manifests declare nothing yet.")
        wrong = (*self._unready_told, *self._problems_told)
        for line in wrong:
            self._say(line, "red")
        return 1 if wrong or any(row.fails for row in rows) else 0

    def say_where(self, base: str) -> None:
        """Say where the API is."""
        self._side.print(Text.assemble("\nGraphiQL: ", (f"{base}/graphql", "bold"), "   Ctrl-C stops"))

    async def watch(self, stop: asyncio.Event) -> None:
        """Tell each sync that ends well, and whatever turns good or bad, until `stop`."""
        reachable = True
        with Bars(self._side, tell=True, ended=self._ended) as bars:
            while not stop.is_set():
                try:
                    bars.show(await since(self._db, self._after))
                    await self._tell_turns()
                    reachable = True
                except DatabaseUnavailable as error:
                    if reachable:
                        self._say(f"{error}; trying again", "red")
                    reachable = False
                self._tell_problems()
                await pause(stop, LOOK if bars.busy else CALM)

    async def _tell_turns(self) -> None:
        names = await self._declared()
        for row in await providers.standing(self._db):
            name = _name(row.provider)
            if name in names and self._turns_told.get(name) != row.turn:
                self._turns_told[name] = row.turn
                self._say(
                    f"{name[1]}/{name[2]}: {row.ready.reason}: {row.ready.message}", "red" if row.fails else "green"
                )

        await self._tell_unready(names)

    async def _tell_unready(self, names: Collection[Name]) -> None:
        """Budgets, alerts and channels that are not Ready any more; one that is again needs no word."""
        now = await self._unready(names)
        for line in now:
            if line not in self._unready_told:
                self._say(line, "red")
        self._unready_told = now

    async def _unready(self, names: Collection[Name]) -> Sequence[str]:
        async with self._db.transaction(None) as connection:
            found = await unready(connection)
        return [str(each) for each in found if (each.kind, each.namespace, each.name) in names]

    def _tell_problems(self) -> None:
        now = self._problems()
        for problem in now:
            if problem not in self._problems_told:
                self._say(problem, "red")
        if self._problems_told and not now:
            self._say("the manifests have no problems any more", "green")
        self._problems_told = now

    def _say(self, line: str, style: str) -> None:
        self._side.print(Text(line, style=style))


def _name(provider: Provider) -> Name:
    return provider.kind, provider.namespace, provider.name
