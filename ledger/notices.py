"""Notices through Postgres (LISTEN and NOTIFY): they only say that it is worth looking, and may be lost."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from types import TracebackType
from typing import Any, Final, Self

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.database import WriterDB, translated

REQUESTS: Final = "costhook_requests"
"""Someone asked for a sync, for one to be canceled, or did something about an alert, a silence or a message.

The payload is JSON: the namespace and the name of what is meant.
"""

_TELL: Final = text("select pg_notify(:channel, :payload)")
_PRESENT: Final = text("select pg_advisory_lock_shared(hashtext('costhook.listener'), hashtext(:channel))")
_HEARD: Final = text("""
    select exists (
        select from pg_locks
        where locktype = 'advisory' and objsubid = 2 and classid = hashtext('costhook.listener')::oid
            and objid = hashtext(:channel)::oid
            and database = (select oid from pg_database where datname = current_database())
    )
""")


class Listener:
    """Hears the notices of one channel on a connection of its own, on which a lock shows that it listens."""

    def __init__(self, db: WriterDB, channel: str) -> None:
        self._db, self._channel = db, channel
        self._heard = asyncio.Event()
        self._connection: AsyncConnection | None = None

    async def __aenter__(self) -> Self:
        async with translated():
            self._connection = await self._db.engine.connect()
            raw = await self._connection.get_raw_connection()
            driver: Any = raw.driver_connection
            await driver.add_listener(self._channel, self._hear)
            driver.add_termination_listener(self._hear)
            await self._connection.execute(_PRESENT, {"channel": self._channel})
            await self._connection.commit()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is not None:
            await self._connection.invalidate()
            await self._connection.close()
            self._connection = None

    async def wait(self, longest: timedelta) -> None:
        """Return when a notice came, or after `longest`. Raises DatabaseUnavailable when the connection is gone."""
        assert self._connection is not None
        try:
            async with asyncio.timeout(longest.total_seconds()):
                await self._heard.wait()
        except TimeoutError:
            pass
        self._heard.clear()
        async with translated():
            await self._connection.execute(text("select 1"))
            await self._connection.commit()

    def _hear(self, *_notice: object) -> None:
        self._heard.set()


async def is_heard(connection: AsyncConnection, channel: str) -> bool:
    """Whether anybody listens to the channel now, in whatever process."""
    return bool((await connection.execute(_HEARD, {"channel": channel})).scalar())


async def tell(connection: AsyncConnection, namespace: str, name: str) -> None:
    """Tell whoever reconciles, on commit, that it is worth looking at what has this name."""
    payload = json.dumps({"namespace": namespace, "name": name})
    await connection.execute(_TELL, {"channel": REQUESTS, "payload": payload})
