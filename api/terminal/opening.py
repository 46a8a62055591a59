"""What every command begins with: settings in force, the ledger opened to be read, and an answer shown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from ledger.database import ReaderDB
    from ledger.settings import Settings

T = TypeVar("T")


def now() -> datetime:
    """The clock of production."""
    return datetime.now(UTC)


def in_force(**flags: Any) -> Settings:
    """The settings with these flags; logging obeys them from here on. Raises InvalidSetting."""
    from ledger import logs
    from ledger.settings import read

    found = read(flags)
    logs.configure(found.log_level, found.log_format, tracebacks=found.log_level == "debug")
    return found


@asynccontextmanager
async def reader(settings: Settings, url: str) -> AsyncIterator[ReaderDB]:
    """The ledger, to be read."""
    from ledger.database import connect_reader

    timeout = int(settings.statement_seconds * 1000)
    db = connect_reader(url, pool_size=settings.connections, statement_timeout_ms=timeout)
    try:
        yield db
    finally:
        await db.close()


def answered(settings: Settings, question: Callable[[ReaderDB], Awaitable[T]]) -> T:
    """What the ledger answers."""
    from migrations.ready import ready

    async def ask(url: str) -> T:
        async with reader(settings, url) as db:
            return await question(db)

    with ready(settings) as url:
        return asyncio.run(ask(url))


def show(render: Callable[[Console], RenderableType], as_json: object = None) -> None:
    """Show what `render` makes for people; or `as_json`, if there is any."""
    from api.terminal.layout import console, write_json

    if as_json is not None:
        write_json(as_json)
        return
    to = console()
    to.print(render(to))
