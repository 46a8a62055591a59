"""Figures entered by hand: one for a month and a service, each change with who and when, each asking for a sync."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from ledger import accounts, audit, manual_entries, runs
from ledger.accounts import Account
from ledger.database import ReaderDB, WriterDB
from ledger.entry import Entry, Figure, Key, checked_key, figure
from ledger.errors import InvalidQuestion, NotFound
from ledger.manual_entries import AlreadyEntered, Hand
from ledger.runs import Request

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ME = Hand("me", "local", NOW, "asked-1")
OTHER = Hand("other", "token", NOW + timedelta(hours=1))
TEN = Figure(amount=Decimal("10.0000000000000000000000000001"), currency="USD", note="invoice 7")


@pytest.fixture
async def key(writer: WriterDB, namespace: str) -> Key:
    """October of a Provider that takes entries."""
    await accounts.register(writer, Account(namespace, "groq", "Provider", "manual"), NOW)
    return Key(namespace=namespace, provider="groq", month=date(2026, 10, 1))


async def test_a_figure_is_entered_edited_and_deleted(writer: WriterDB, reader: ReaderDB, key: Key) -> None:
    """The API's role may do all three in a namespace that it sees; who and when stay with the figure."""
    async with reader.transaction([key.namespace]) as connection:
        await manual_entries.add(connection, key, TEN, ME)
    assert await manual_entries.of_provider(writer, key.namespace, "groq") == [
        Entry(key=key, figure=TEN, entered_at=NOW, entered_by="me")
    ]
    async with reader.transaction([key.namespace]) as connection:
        changed = await manual_entries.edit(connection, key, {"amount": Decimal(12)}, OTHER)
        [held] = await manual_entries.listed(connection)
    assert changed == Figure(amount=Decimal(12), currency="USD", note="invoice 7")
    assert (held.entered_by, held.changed_by, held.changed_at) == ("me", "other", OTHER.at)

    async with reader.transaction([key.namespace]) as connection:
        assert await manual_entries.delete(connection, key, ME) == changed
    assert await manual_entries.of_provider(writer, key.namespace, "groq") == []


async def test_every_change_is_in_the_audit_log(writer: WriterDB, reader: ReaderDB, key: Key) -> None:
    """With who, when, what was before and what is after."""
    async with reader.transaction([key.namespace]) as connection:
        await manual_entries.add(connection, key, TEN, ME)
        await manual_entries.edit(connection, key, {"note": None}, OTHER)
        await manual_entries.delete(connection, key, OTHER)

    found = [entry for entry in await audit.latest(writer, 50) if entry.namespace == key.namespace]
    ten = {"amount": "10.0000000000000000000000000001", "currency": "USD"}
    noted = {**ten, "note": "invoice 7"}
    assert [(entry.action, entry.actor, entry.at, entry.detail) for entry in reversed(found)] == [
        ("addCost", "me", NOW, {"month": "2026-10", "after": noted}),
        ("editCost", "other", OTHER.at, {"month": "2026-10", "before": noted, "after": ten}),
        ("deleteCost", "other", OTHER.at, {"month": "2026-10", "before": ten}),
    ]
    assert {entry.subject for entry in found} == {"groq"}
    assert found[-1].request_id == "asked-1"


async def test_every_change_asks_for_a_sync(writer: WriterDB, reader: ReaderDB, key: Key) -> None:
    """A request waits for whoever reconciles, so that charges follow at once."""
    async with reader.transaction([key.namespace]) as connection:
        await manual_entries.add(connection, key, TEN, ME)
        await manual_entries.edit(connection, key, {"amount": Decimal(1)}, ME)

    run = await runs.start(writer, key.namespace, "groq", "Manual", NOW)
    assert await runs.claim_requests(writer, run) == [Request(None, None)] * 2


async def test_a_month_is_entered_once(reader: ReaderDB, key: Key) -> None:
    """A second figure for the same month and service is refused with the first; another service is another figure."""
    async with reader.transaction([key.namespace]) as connection:
        await manual_entries.add(connection, key, TEN, ME)
        with pytest.raises(AlreadyEntered, match=r"10\.0000000000000000000000000001 USD by me; edit it"):
            await manual_entries.add(connection, key, TEN, OTHER)
        other = Key(namespace=key.namespace, provider="groq", month=key.month, service="Batch")
        await manual_entries.add(connection, other, TEN, ME)
        assert len(await manual_entries.listed(connection, key.namespace, "groq")) == 2
        assert len(await manual_entries.listed(connection, key.namespace, "groq", 1)) == 1
        assert await manual_entries.listed(connection, "elsewhere") == []


async def test_what_is_not_there_is_told(writer: WriterDB, reader: ReaderDB, key: Key) -> None:
    """A Provider that takes no entries, and a month without one, are told by name; nothing is written down."""
    await accounts.register(writer, Account(key.namespace, "openai", "Provider", "openai"), NOW)
    async with reader.transaction([key.namespace]) as connection:
        for name in ("openai", "nobody"):
            with pytest.raises(NotFound, match=f"no Provider {name} of type manual"):
                await manual_entries.add(
                    connection, Key(namespace=key.namespace, provider=name, month=key.month), TEN, ME
                )
        with pytest.raises(NotFound, match="nothing is entered for groq 2026-10"):
            await manual_entries.edit(connection, key, {}, ME)
        with pytest.raises(NotFound):
            await manual_entries.delete(connection, key, ME)

    assert not [entry for entry in await audit.latest(writer, 50) if entry.namespace == key.namespace]


async def test_entries_of_other_teams_cannot_be_touched(writer: WriterDB, reader: ReaderDB, key: Key) -> None:
    """Postgres itself hides them from the API's role, and takes none under another team's name."""
    async with writer.transaction() as connection:
        await manual_entries.add(connection, key, TEN, ME)

    async with reader.transaction(["elsewhere"]) as connection:
        assert await manual_entries.listed(connection) == []
        with pytest.raises(NotFound):
            await manual_entries.delete(connection, key, ME)
    insert = """
        insert into manual_entry (namespace, provider, month, service, amount, currency, entered_at, entered_by)
        values (:namespace, 'groq', '2026-09-01', '', 1, 'USD', now(), 'me')
    """
    with pytest.raises(DBAPIError, match="row-level security"):
        async with reader.transaction(["elsewhere"]) as connection:
            await connection.execute(text(insert), {"namespace": key.namespace})
    with pytest.raises(DBAPIError, match="permission denied"):
        async with reader.transaction([key.namespace]) as connection:
            await connection.execute(text("update manual_entry set entered_by = 'nobody'"))


@pytest.mark.parametrize(
    ("month", "service", "field"),
    [
        (date(2026, 10, 2), "", "month"),
        (date(2026, 12, 1), "", "month"),
        (date(1999, 1, 1), "", "month"),
        (date(2026, 10, 1), "x" * 300, "service"),
    ],
)
def test_keys_that_name_nothing_are_refused(month: date, service: str, field: str) -> None:
    """A figure is for a month that has begun, of a service whose name can be read."""
    with pytest.raises(InvalidQuestion) as caught:
        checked_key(Key(namespace="a", provider="b", month=month, service=service), NOW.date())
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("amount", "currency", "note", "field"),
    [
        ("1,50", "USD", None, "amount"),
        ("NaN", "USD", None, "amount"),
        ("1", "dollars", None, "currency"),
        ("1", "USD", "x" * 1001, "note"),
    ],
)
def test_figures_that_are_none_are_refused(amount: str, currency: str, note: str | None, field: str) -> None:
    """An amount is exact, a currency has three letters, a note is short."""
    with pytest.raises(InvalidQuestion) as caught:
        figure(amount, currency, note)
    assert caught.value.field == field


def test_figures_are_exact() -> None:
    """No digit is lost, and a lower-case currency is one too."""
    found = figure("12.3400000000000000000000000000001", "usd", "")

    assert found == Figure(amount=Decimal("12.3400000000000000000000000000001"), currency="USD", note=None)
