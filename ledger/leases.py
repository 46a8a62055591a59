"""One sync per provider at a time: a lease in Postgres, with a token that fences writes of a former holder.

Time is the database's, so that the clocks of two machines need not agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.database import WriterDB
from ledger.errors import LeaseLost, RetryLater

_TAKE = text("""
    insert into lease as held (namespace, provider, holder, token, expires_at)
    values (:namespace, :provider, :holder, 1, clock_timestamp() + :ttl)
    on conflict (namespace, provider) do update
        set holder = excluded.holder, token = held.token + 1, expires_at = excluded.expires_at
        where held.expires_at <= clock_timestamp()
    returning token
""")

_HOLD = text("""
    update lease set expires_at = clock_timestamp() + :ttl
    where namespace = :namespace and provider = :provider and token = :token and holder = :holder
    returning token
""")

_GIVE_BACK = text("""
    update lease set expires_at = clock_timestamp()
    where namespace = :namespace and provider = :provider and token = :token
""")


class Busy(RetryLater):
    """Another process holds the lease now."""

    reason = "Busy"


_GIVE_BACK_ALL = text("update lease set expires_at = clock_timestamp() where holder = :holder")


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to sync one provider until it expires, is given back, or is taken over after expiry."""

    namespace: str
    provider: str
    holder: str
    token: int
    ttl: timedelta


async def take(db: WriterDB, namespace: str, provider: str, holder: str, ttl: timedelta) -> Lease | None:
    """The lease, or None while another holder's has not expired."""
    async with db.statement() as connection:
        return await claim(connection, namespace, provider, holder, ttl)


async def claim(
    connection: AsyncConnection, namespace: str, provider: str, holder: str, ttl: timedelta
) -> Lease | None:
    """As `take`, inside a transaction."""
    values = {"namespace": namespace, "provider": provider, "holder": holder, "ttl": ttl}
    token = (await connection.execute(_TAKE, values)).scalar()
    return None if token is None else Lease(namespace, provider, holder, token, ttl)


async def hold(connection: AsyncConnection, lease: Lease) -> None:
    """Extend the lease inside a transaction, and lock it there, so that nobody takes over before the commit.

    Raises LeaseLost when someone already has.
    """
    held = await connection.execute(
        _HOLD,
        {
            "namespace": lease.namespace,
            "provider": lease.provider,
            "token": lease.token,
            "holder": lease.holder,
            "ttl": lease.ttl,
        },
    )
    if held.scalar() is None:
        raise LeaseLost(f"another process took over the sync of {lease.namespace}/{lease.provider}")


async def extend(db: WriterDB, lease: Lease) -> None:
    """Extend the lease now. Raises LeaseLost."""
    async with db.transaction() as connection:
        await hold(connection, lease)


async def give_back(db: WriterDB, lease: Lease) -> None:
    """Let the next one in at once. Harmless when the lease is already lost."""
    values = {"namespace": lease.namespace, "provider": lease.provider, "token": lease.token}
    async with db.statement() as connection:
        await connection.execute(_GIVE_BACK, values)


async def give_back_all(db: WriterDB, holder: str) -> None:
    """Let others in at once wherever `holder` had been when it died. For one who knows that it did."""
    async with db.statement() as connection:
        await connection.execute(_GIVE_BACK_ALL, {"holder": holder})
