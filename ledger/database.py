"""Connections to Postgres, as one of two roles: the writer (the reconciler) or the reader (everyone else).

The database URL names a login that is a member of both roles; a connection takes on one of them and keeps it.
The reader sees only the namespaces it is told, which Postgres' row-level security enforces; `WriterDB` and
`ReaderDB` are types of their own, so that a reader cannot be handed to code that writes.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import asyncpg
from sqlalchemy import event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from ledger.errors import DatabaseUnavailable, NeedsPerson, TooSlow

ALL_NAMESPACES: Final = "*"
_TOO_SLOW: Final = "this took too long to find out; ask for a shorter period or for less detail"
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\Z")


@dataclass(frozen=True, slots=True)
class WriterDB:
    """May read and write every namespace."""

    engine: AsyncEngine

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that commits when the block ends normally. Raises DatabaseUnavailable, NeedsPerson."""
        async with translated(), self.engine.begin() as connection:
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


def connect_writer(url: str, *, pool_size: int = 5) -> WriterDB:
    """A pool of connections as costhook_writer. Nothing is connected until it is used."""
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
    except ArgumentError:
        raise NeedsPerson("the database URL is not a URL; write postgresql://user:password@host:5432/name") from None
    if parsed.get_backend_name() not in ("postgresql", "postgres"):
        raise NeedsPerson(f"the database URL names {parsed.get_backend_name()!r}; Costhook needs postgresql://")
    return parsed.set(drivername="postgresql+asyncpg")


@asynccontextmanager
async def translated() -> AsyncIterator[None]:
    """Tell a database that cannot be reached, or refuses the login, or cut a statement off, from all other faults."""
    try:
        yield
    except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError) as error:
        raise NeedsPerson(f"the database refuses the connection: {error}") from error
    except asyncpg.QueryCanceledError as error:
        raise TooSlow(_TOO_SLOW) from error
    except (asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError, asyncpg.InterfaceError) as error:
        raise DatabaseUnavailable("the connection to the database broke") from error
    except (InterfaceError, OperationalError, OSError) as error:
        raise DatabaseUnavailable("the database cannot be reached") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise DatabaseUnavailable("the connection to the database broke") from error
        if getattr(error.orig, "sqlstate", None) == asyncpg.QueryCanceledError.sqlstate:
            raise TooSlow(_TOO_SLOW) from error
        raise


def _seen(namespaces: Collection[str] | None) -> str:
    if namespaces is None:
        return ALL_NAMESPACES
    return ",".join(name for name in namespaces if _NAMESPACE.match(name))


def _engine(url: str, role: str, pool_size: int, **settings: str) -> AsyncEngine:
    engine = create_async_engine(
        driver_url(url),
        pool_size=pool_size,
        max_overflow=0,
        pool_pre_ping=True,
        connect_args={"server_settings": {"application_name": "costhook", "timezone": "UTC", **settings}},
    )

    # `set role` per connection rather than as a start-up parameter: poolers such as PgBouncer refuse the latter.
    @event.listens_for(engine.sync_engine, "connect")
    def take_role(connection: object, _record: object) -> None:
        cursor = connection.cursor()  # type: ignore[attr-defined]  # DBAPI connections are untyped
        cursor.execute(f"set role {role}")
        cursor.close()
        connection.commit()  # type: ignore[attr-defined]

    return engine
