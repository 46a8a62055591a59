"""What every command begins with: settings in force, the ledger opened to be read, and an answer shown."""

from __future__ import annotations

import asyncio
import getpass
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ledger.errors import NeedsPerson
from ledger.state import State

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from api.settings import ApiSettings
    from ledger.database import ReaderDB, WriterDB
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


def of_the_api(settings: Settings, schema_step: str) -> ApiSettings:
    """What the API is told of the settings. Raises NeedsPerson where it would be open to everybody."""
    from api.oidc import OidcSettings
    from api.settings import ApiSettings

    oidc = None
    if settings.oidc_issuer is not None:
        if settings.oidc_audience is None:
            raise NeedsPerson("an issuer of JWTs is named, and no audience: set COSTHOOK_OIDC_AUDIENCE as well")
        oidc = OidcSettings(
            issuer=settings.oidc_issuer,
            audience=settings.oidc_audience,
            jwks_url=settings.oidc_jwks_url,
            claim=settings.oidc_claim,
            grants=settings.oidc_grants,
        )
    return ApiSettings(
        host=settings.address[0],
        authentication=settings.authentication,
        oidc=oidc,
        kubernetes=settings.kubernetes,
        allowed_hosts=settings.api_hosts,
        allowed_origins=settings.api_origins,
        schema_step=schema_step,
        clock=now,
    )


def last_watched(settings: Settings) -> Path:
    """The folder to sync from where nobody else does it. Raises NeedsPerson where there is none."""
    if settings.url() is not None:
        raise NeedsPerson("no reconciler runs on this database; start one: costhook up DIR --database-url URL")
    memory = State(settings.state).recall()
    if memory is None or not Path(memory.folder).is_dir():
        gone = f" ({memory.folder} is gone)" if memory else ""
        raise NeedsPerson(f"`costhook up` is not running, and which folder it watched is not known{gone}; start it")
    return Path(memory.folder)


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


def changed(settings: Settings, change: Callable[[WriterDB], Awaitable[T]]) -> T:
    """What a change of the ledger gives."""
    from ledger.database import connect_writer
    from migrations.ready import ready

    async def do(url: str) -> T:
        db = connect_writer(url, pool_size=1)
        try:
            return await change(db)
        finally:
            await db.close()

    with ready(settings) as url:
        return asyncio.run(do(url))


def who() -> str:
    """Who runs the command, as the audit log shows it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def show(render: Callable[[Console], RenderableType], as_json: object = None) -> None:
    """Show what `render` makes for people; or `as_json`, if there is any."""
    from api.terminal.layout import console, write_json

    if as_json is not None:
        write_json(as_json)
        return
    to = console()
    to.print(render(to))
