"""A sync that a person asked for: of which provider, how it goes, and how it ended or why it did not begin."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final

from rich.console import Console
from rich.text import Text

from api.terminal.opening import who
from api.terminal.syncs import RUNNING, Bars, pause, told
from ledger import audit
from ledger.database import ReaderDB
from ledger.errors import NeedsPerson, NotFound
from ledger.reads.providers import Provider, ProviderFilter, provider, providers
from ledger.reads.runs import SyncRun, sync_run
from ledger.requests import Asked, Asking, put, taken
from ledger.runs import Request

KNOWN: Final = 50
"""Providers that are named when there is none of the name asked for."""
PATIENCE: Final = 10
"""Looks after which a provider that only a person can mend is believed to stay so."""


async def syncable(db: ReaderDB, name: str, namespace: str | None) -> Provider:
    """The one provider of that name. Raises NotFound, and NeedsPerson where it is suspended."""
    chosen = ProviderFilter(names=(name,), namespaces=None if namespace is None else (namespace,))
    async with db.transaction(None) as connection:
        found = await providers(connection, chosen)
        known = await providers(connection, ProviderFilter(), first=KNOWN) if not found else ()
    if not found:
        others = ", ".join(each.name for each in known) or "none"
        raise NotFound(
            f"there is no provider {name}{f' in namespace {namespace}' if namespace else ''}; known: {others}"
        )
    if len(found) > 1:
        where = ", ".join(each.namespace for each in found)
        raise NotFound(f"there are several providers {name}; say which with --namespace: {where}")
    if found[0].suspended:
        raise NeedsPerson(f"{name} is suspended; set spec.suspend to false in {found[0].place or 'its manifest'}")
    return found[0]


async def ask(db: ReaderDB, of: Provider, wish: Request, now: datetime) -> Asked:
    """Ask for a sync, which the audit log tells."""
    days = {"from": wish.first_day, "to": wish.after_last_day}
    entry = audit.Entry(
        at=now,
        actor=who(),
        actor_kind="local",
        action="syncProvider",
        namespace=of.namespace,
        subject=of.name,
        detail={name: day.isoformat() for name, day in days.items() if day is not None},
    )
    async with db.transaction([of.namespace]) as connection:
        asked = await put(connection, Asking(of.namespace, of.name, wish, entry.actor, now))
        await audit.write(connection, entry)
    return asked


async def shown(db: ReaderDB, asked: Asked, to: Console, work: Awaitable[None] | None) -> int:
    """Show how a sync that was asked for goes, and how it ended; 0 if well. `work` does it, or else others do."""
    over = asyncio.Event()
    with Bars(to) as bars:
        async with asyncio.TaskGroup() as tasks:
            answered = tasks.create_task(_answer(db, asked, over, bars.show))
            if work is not None:
                try:
                    await work
                finally:
                    over.set()
    run = answered.result()
    if run is None or run.outcome == RUNNING:
        to.print(Text(await _why_not(db, asked), style="red"))
        return 1
    to.print(told(run))
    return 0 if run.outcome == "Succeeded" else 1


async def _answer(
    db: ReaderDB, asked: Asked, over: asyncio.Event, show: Callable[[Sequence[SyncRun]], None]
) -> SyncRun | None:
    """The run that answers a request, once it ended. None when none began, and none will as things are."""
    looks = 0
    while True:
        last, run_id = over.is_set(), await taken(db, asked)
        async with db.transaction([asked.namespace]) as connection:
            run = None if run_id is None else await sync_run(connection, asked.namespace, run_id)
            held = await provider(connection, asked.namespace, asked.provider)
        show([] if run is None else [run])
        if last or (run is not None and run.outcome != RUNNING):
            return run
        if run is None and looks > PATIENCE and held is not None and _stalled(held):
            return None
        looks += 1
        await pause(over)


async def _why_not(db: ReaderDB, asked: Asked) -> str:
    async with db.transaction([asked.namespace]) as connection:
        held = await provider(connection, asked.namespace, asked.provider)
    ready = next((each for each in held.conditions if each.type == "Ready"), None) if held else None
    why = f": {ready.reason}: {ready.message}" if ready else ""
    return f"{asked.namespace}/{asked.provider} was not synced{why}"


def _stalled(held: Provider) -> bool:
    return any(condition.type == "Stalled" and condition.status == "True" for condition in held.conditions)
