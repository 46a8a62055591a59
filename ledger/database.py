"""Connections to Postgres, as one of two roles: the writer (the reconciler) or the reader (everyone else).

The database URL names a login that is a member of both roles; a connection takes on one of them and keeps it.
The reader sees only the namespaces it is told, which Postgres' row-level security enforces; `WriterDB` and
`ReaderDB` are types of their own, so that a reader cannot be handed to code that writes.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import asyncpg
from sqlalchemy import event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from ledger.errors import DatabaseUnavailable, LedgerError, NeedsPerson, TooSlow

Connection = AsyncConnection
"""What a transaction gives; the rooms that may not know Postgres name its type by this."""

ALL_NAMESPACES: Final = "*"
_TOO_SLOW: Final = "this took too long to find out; ask for a shorter period or for less detail"
_NO_LOGIN: Final = "28"
_GOING_AWAY: Final = ("08", "57P")
"""States of a connection that broke, and of a server that shuts down, crashed or starts."""
"""How the codes of all errors about a login begin."""
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\Z")


@dataclass(frozen=True, slots=True)
class WriterDB:
    """May read and write every namespace."""

    engine: AsyncEngine

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that commits when the block ends normally. Raises DatabaseUnavailable, NeedsPerson."""
        async with translated(foreign=True), _connected(self.engine) as connection, connection.begin():
            yield connection

    @asynccontextmanager
    async def statement(self) -> AsyncIterator[AsyncConnection]:
        """A connection on which every statement is a transaction of its own. Raises as `transaction`.

        For what is a single statement: to begin and to commit one would take two round trips more.
        """
        async with translated(foreign=True), _connected(self.engine) as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            yield connection

    async def close(self) -> None:
        await self.engine.dispose()


@dataclass(frozen=True, slots=True)
class ReaderDB:
    """May read the namespaces named at each transaction, and ask for syncs in them."""

    engine: AsyncEngine

    @asynccontextmanager
    async def transaction(self, namespaces: Collection[str] | None) -> AsyncIterator[AsyncConnection]:
        """A transaction that sees `namespaces` only; None means all. Raises DatabaseUnavailable, NeedsPerson."""
        async with translated(), self.engine.begin() as connection:
            await connection.execute(
                text("select set_config('costhook.namespaces', :seen, true)"), {"seen": _seen(namespaces)}
            )
            yield connection

    @asynccontextmanager
    async def snapshot(self, namespaces: Collection[str] | None, *, seconds: float) -> AsyncIterator[AsyncConnection]:
        """As `transaction`, but every statement sees the ledger as the first did, and may take `seconds`."""
        async with translated(), self.engine.connect() as connection:
            await connection.execution_options(isolation_level="REPEATABLE READ")
            try:
                await connection.execute(
                    text("""
                        select set_config('costhook.namespaces', :seen, true),
                            set_config('statement_timeout', :timeout, true)
                    """),
                    {"seen": _seen(namespaces), "timeout": str(int(seconds * 1000))},
                )
                yield connection
            finally:
                await connection.rollback()

    async def close(self) -> None:
        await self.engine.dispose()


def connect_writer(url: str, *, pool_size: int = 20) -> WriterDB:
    """A pool of connections as costhook_writer. Nothing is connected until it is used.

    A sync may hold two at once (a window being written, and its lease or its calls), so the pool must be more than
    twice as large as the number of syncs at a time.
    """
    return WriterDB(_engine(url, "costhook_writer", pool_size))


def connect_reader(url: str, *, pool_size: int = 5, statement_timeout_ms: int = 10_000) -> ReaderDB:
    """A pool of read connections as costhook_reader, whose statements are cut off after the timeout."""
    return ReaderDB(_engine(url, "costhook_reader", pool_size, statement_timeout=str(statement_timeout_ms)))


def connect_owner(url: str) -> AsyncEngine:
    """An engine as the login itself, for migrations."""
    return create_async_engine(driver_url(url))


def driver_url(url: str) -> URL:
    """The URL with the asyncpg driver. Raises NeedsPerson when it is no Postgres URL, without repeating it."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise NeedsPerson("the database URL is not a URL; write postgresql://user:password@host:5432/name") from None
    if parsed.get_backend_name() not in ("postgresql", "postgres"):
        raise NeedsPerson(f"the database URL names {parsed.get_backend_name()!r}; Costhook needs postgresql://")
    return parsed.set(drivername="postgresql+asyncpg")


@asynccontextmanager
async def translated(*, foreign: bool = False) -> AsyncIterator[None]:
    """Tell a database that cannot be reached, or refuses the login, or cut a statement off, from all other faults.

    `foreign`: other code runs inside, whose own OSErrors say nothing of the database.
    """
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError, DBAPIError, PoolTimeout) as error:
        meaning = _meaning(error)
        if meaning is None:
            raise
        raise meaning from error
    except OSError as error:
        if foreign:
            raise
        raise DatabaseUnavailable("the database cannot be reached") from error


def _meaning(error: Exception) -> LedgerError | None:
    """What a driver's error comes to; None for one that is the program's own fault."""
    origin = error.orig if isinstance(error, DBAPIError) else error
    state = getattr(origin, "sqlstate", None) or ""
    if state[:2] == _NO_LOGIN or state == asyncpg.InvalidCatalogNameError.sqlstate:
        return NeedsPerson(f"the database refuses the connection: {getattr(origin, '__cause__', None) or origin}")
    if state == asyncpg.QueryCanceledError.sqlstate:
        return TooSlow(_TOO_SLOW)
    if state.startswith(_GOING_AWAY) or isinstance(error, asyncpg.InterfaceError):
        return DatabaseUnavailable("the connection to the database broke")
    if isinstance(error, InterfaceError | OperationalError | PoolTimeout):
        return DatabaseUnavailable("the database cannot be reached")
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return DatabaseUnavailable("the connection to the database broke")
    return None


@asynccontextmanager
async def _connected(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    async with translated():
        connection = await engine.connect()
    try:
        yield connection
    finally:
        # shielded, as SQLAlchemy does it: a cancelled task must still give its connection back
        await asyncio.shield(asyncio.create_task(connection.close()))


def _seen(namespaces: Collection[str] | None) -> str:
    if namespaces is None:
        return ALL_NAMESPACES
    return ",".join(name for name in namespaces if _NAMESPACE.match(name))


def _engine(url: str, role: str, pool_size: int, **settings: str) -> AsyncEngine:
    engine = create_async_engine(
        driver_url(url),
        pool_size=pool_size,
        max_overflow=0,
        pool_use_lifo=True,  # few connections at work, which know their statements, rather than all in turn
        connect_args={"server_settings": {"application_name": "costhook", "timezone": "UTC", **settings}},
    )

    # `set role` per connection rather than as a start-up parameter: poolers such as PgBouncer refuse the latter.
    @event.listens_for(engine.sync_engine, "connect")
    def take_role(connection: object, _record: object) -> None:
        cursor = connection.cursor()  # type: ignore[attr-defined]  # DBAPI connections are untyped
        cursor.execute(f"set role {role}")
        cursor.close()
        connection.commit()  # type: ignore[attr-defined]

    # A server that goes away closes its connections, and the driver notices; asking it would be three round trips.
    @event.listens_for(engine.sync_engine, "checkout")
    def give_no_dead_one(connection: object, _record: object, _proxy: object) -> None:
        if connection.driver_connection.is_closed():  # type: ignore[attr-defined]  # as above
            raise DisconnectionError

    return engine
