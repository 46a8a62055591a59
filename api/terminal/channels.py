"""`costhook channel`: a test message that a person asked for, and whether it arrived."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Annotated, Final
from uuid import uuid4

import typer

from api.terminal.opening import in_force, now, reader, who
from api.terminal.options import Namespace, StateDir, Url
from ledger.errors import NotFound

if TYPE_CHECKING:
    from rich.console import Console

    from ledger.database import ReaderDB
    from ledger.reads.channels import Channel
    from ledger.reads.notifications import Notification
    from ledger.settings import Settings

PATIENCE: Final = 150
"""Looks at the ledger after which nobody is believed to send the message."""

Work = Callable[[str, str, str], Awaitable[None] | None]
"""Reconciles a resource of that kind, namespace and name once, or None where another process does."""
Worker = Callable[["Settings", str, "ReaderDB"], AbstractAsyncContextManager[Work]]


def group_of(worker: Worker) -> typer.Typer:
    """The commands, around who does the work."""
    group = typer.Typer(no_args_is_help=True, help="Test where alerts are told.")

    @group.callback()
    def channel() -> None:
        """Test where alerts are told."""

    @group.command()
    def test(
        name: Annotated[str, typer.Argument(help="Name of a Channel")],
        namespace: Namespace = None,
        state: StateDir = None,
        database_url: Url = None,
    ) -> None:
        """Send a test message now, wait for the receipt, and say how it went.

        `costhook up` sends it where it runs. Where it does not, this command does, over the folder that `up` last
        watched with this state. Rate limits, quiet hours and `suspend` do not hold test messages back.

        Example: `costhook channel test oncall`
        """
        from migrations.ready import ready

        settings = in_force(state=state, database_url=database_url)
        with ready(settings) as url:
            raise typer.Exit(asyncio.run(_test(settings, url, name, namespace, worker)))

    return group


async def _test(settings: Settings, url: str, name: str, namespace: str | None, worker: Worker) -> int:
    from api.terminal.layout import console

    async with reader(settings, url) as db:
        found = await _known(db, name, namespace)
        async with worker(settings, url, db) as work:
            number = await _ask(db, found)
            said = await _awaited(db, found, number, work("Channel", found.namespace, found.name))
    return _told(found, said, console())


async def _known(db: ReaderDB, name: str, namespace: str | None) -> Channel:
    """The one channel of that name. Raises NotFound."""
    from ledger.reads.channels import ChannelFilter, channels

    async with db.transaction(None) as connection:
        every = await channels(connection, ChannelFilter(namespaces=None if namespace is None else (namespace,)))
    found = [each for each in every if each.name == name]
    if not found:
        known = ", ".join(each.name for each in every) or "none"
        raise NotFound(f"there is no channel {name}{f' in namespace {namespace}' if namespace else ''}; known: {known}")
    if len(found) > 1:
        where = ", ".join(each.namespace for each in found)
        raise NotFound(f"there are several channels {name}; say which with --namespace: {where}")
    return found[0]


async def _ask(db: ReaderDB, channel: Channel) -> int:
    """Ask for the message, which the audit log tells."""
    from ledger import audit
    from ledger.alerts import hands

    at, by = now(), who()
    async with db.transaction([channel.namespace]) as connection:
        hand = hands.Hand(by, at)
        number = await hands.ask_test(connection, channel.namespace, channel.name, uuid4().hex, hand)
        assert number is not None  # the key is new
        entry = audit.Entry(
            at=at,
            actor=by,
            actor_kind="local",
            action="testChannel",
            namespace=channel.namespace,
            subject=channel.name,
            detail={"notification": number},
        )
        await audit.write(connection, entry)
    return number


async def _awaited(db: ReaderDB, channel: Channel, number: int, work: Awaitable[None] | None) -> Notification:
    """The message once it was tried; or as it is when whoever does the `work` is done, or nobody seems to."""
    over = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        answer = tasks.create_task(_answer(db, channel, number, over))
        if work is not None:
            try:
                await work
            finally:
                over.set()
    return answer.result()


async def _answer(db: ReaderDB, channel: Channel, number: int, over: asyncio.Event) -> Notification:
    from api.terminal.syncs import pause
    from ledger.reads.notifications import notification

    looks = 0
    while True:
        last = over.is_set() or looks >= PATIENCE
        async with db.transaction([channel.namespace]) as connection:
            found = await notification(connection, channel.namespace, number)
        if found is None:
            raise NotFound("the message is gone; somebody has removed it")
        if last or found.state != "Waiting" or found.error is not None:
            return found
        looks += 1
        await pause(over)


def _told(channel: Channel, said: Notification, to: Console) -> int:
    from rich.text import Text

    name = f"{channel.namespace}/{channel.name}"
    if said.state == "Delivered":
        receipt = f": {said.receipt}" if said.receipt else ""
        to.print(Text(f"{name}: the test message was delivered{receipt}"))
        return 0
    why = said.error or "nobody has tried it yet"
    to.print(Text(f"{name}: the test message was not delivered: {why}", style="red"))
    return 1
