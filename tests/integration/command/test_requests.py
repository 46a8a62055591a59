"""Asking for a sync by hand: the request is kept, whoever reconciles is told, and one can see whether anyone does."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from ledger import leases, requests, runs, standing
from ledger.database import ReaderDB, WriterDB
from ledger.notices import REQUESTS, Listener
from ledger.requests import Asked, Asking
from ledger.runs import Request

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
WISH = Request(date(2026, 10, 1), date(2026, 11, 1))


async def ask(reader: ReaderDB, namespace: str) -> Asked:
    async with reader.transaction([namespace]) as connection:
        return await requests.put(connection, Asking(namespace, "openai", WISH, "me", NOW))


async def test_a_request_waits_for_the_next_run(writer: WriterDB, reader: ReaderDB, namespace: str) -> None:
    """A request is waiting until a run takes it on, with the period that was asked for."""
    asked = await ask(reader, namespace)
    assert (namespace, "openai") in await standing.waiting(writer)
    assert await requests.taken(reader, asked) is None

    run = await runs.start(writer, namespace, "openai", "Manual", NOW)

    assert await runs.claim_requests(writer, run) == [WISH]
    assert await requests.taken(reader, asked) == run.id


async def test_whoever_listens_is_told(writer: WriterDB, reader: ReaderDB, namespace: str) -> None:
    """A listener hears of a request at once, and while it listens it can be seen that somebody does."""
    async with Listener(writer, REQUESTS) as listener:
        assert await requests.anyone_reconciles(reader)
        await ask(reader, namespace)
        await listener.wait(timedelta(seconds=30))


async def test_nobody_listens(reader: ReaderDB, writer: WriterDB) -> None:
    """Once the last listener is gone, and on a channel of which nobody knows, nobody is said to listen."""
    async with Listener(writer, "other_channel"):
        assert not await requests.anyone_reconciles(reader)


async def test_a_request_stays_in_its_namespace(reader: ReaderDB, namespace: str) -> None:
    """Row-level security keeps a request from those who see only other namespaces."""
    asked = await ask(reader, namespace)

    assert await requests.taken(reader, Asked("elsewhere", asked.provider, asked.id)) is None


async def test_what_a_dead_holder_held_is_free(writer: WriterDB, namespace: str) -> None:
    """Leases of a holder that is known to be dead can be given back for it; those of others stay."""
    ttl = timedelta(minutes=5)
    await leases.take(writer, namespace, "mine", f"dead {namespace}", ttl)
    await leases.take(writer, namespace, "other", f"alive {namespace}", ttl)

    await leases.give_back_all(writer, f"dead {namespace}")

    assert await leases.take(writer, namespace, "mine", "new", ttl) is not None
    assert await leases.take(writer, namespace, "other", "new", ttl) is None
