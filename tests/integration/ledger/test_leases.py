"""Leases: one holder at a time, taken over after expiry, and fencing the former holder."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from ledger import leases
from ledger.errors import LeaseLost
from tests.integration.ledger.conftest import Desk

MINUTE = timedelta(minutes=1)


async def test_only_one_of_many_gets_it(desk: Desk) -> None:
    """However many ask at once."""
    asked = [leases.take(desk.db, desk.namespace, desk.name, f"holder {n}", MINUTE) for n in range(12)]

    taken = [lease for lease in await asyncio.gather(*asked) if lease is not None]

    assert len(taken) == 1


async def test_given_back_it_is_free_at_once(desk: Desk) -> None:
    """The next one need not wait for the expiry."""
    await leases.give_back(desk.db, await desk.take())

    assert await leases.take(desk.db, desk.namespace, desk.name, "next", MINUTE) is not None


async def test_an_expired_lease_is_taken_over_and_fenced(desk: Desk) -> None:
    """The former holder can neither extend nor give back what is another's now."""
    old = await leases.take(desk.db, desk.namespace, desk.name, "dead", timedelta())
    assert old is not None

    new = await leases.take(desk.db, desk.namespace, desk.name, "alive", MINUTE)

    assert new is not None
    assert new.token > old.token
    with pytest.raises(LeaseLost):
        await leases.extend(desk.db, old)
    await leases.give_back(desk.db, old)
    await leases.extend(desk.db, new)
    assert await leases.take(desk.db, desk.namespace, desk.name, "third", MINUTE) is None


async def test_a_write_under_the_lease_keeps_others_out_until_it_commits(desk: Desk) -> None:
    """A lease that runs out while its holder commits is not taken over in between."""
    lease = await leases.take(desk.db, desk.namespace, desk.name, "writing", timedelta())
    assert lease is not None

    async with desk.db.transaction() as connection:
        await leases.hold(connection, leases.Lease(*_fields(lease), ttl=MINUTE))
        taking = asyncio.create_task(leases.take(desk.db, desk.namespace, desk.name, "waiting", MINUTE))
        done, _ = await asyncio.wait([taking], timeout=0.2)
        assert not done

    assert await taking is None


def _fields(lease: leases.Lease) -> tuple[str, str, str, int]:
    return lease.namespace, lease.provider, lease.holder, lease.token
