"""History on the dashboards: the ledger's figures, by the statements that the panels send."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from ledger import accounts
from ledger.accounts import Account
from ledger.database import ReaderDB, WriterDB
from tests import grafana
from tests.integration.ledger.conftest import READ_AT, START, Desk, charge, days

END = datetime(2026, 10, 2, 15, tzinfo=UTC)
"""The end of what is shown, on the fifth day from START."""
STATEMENTS = {(each.board, each.panel): each for each in grafana.questions() if each.is_sql}


@pytest.fixture
async def desk(writer: WriterDB, namespace: str) -> Desk:
    """A provider in a namespace of its own."""
    made = Desk(writer, namespace)
    await made.open()
    return made


async def shown(reader: ReaderDB, panel: str, namespace: str, board: str = "spend", **chosen: str) -> Sequence[Any]:
    """The rows of a panel for a namespace, in USD unless told otherwise, over 90 days."""
    values = {"namespace": namespace, "provider": ".*", "currency": "USD", **chosen}
    statement = grafana.timed(grafana.filled(STATEMENTS[board, panel].text, values), END - timedelta(days=90), END)
    async with reader.transaction([namespace]) as connection:
        return (await connection.exec_driver_sql(statement)).all()


async def test_days_are_those_of_one_currency(reader: ReaderDB, desk: Desk) -> None:
    """A day has what its charges cost in the chosen currency, by provider, and days without any are not there."""
    said = [
        charge(0, "a", "1.10"),
        charge(0, "b", "2.20"),
        charge(0, "c", "50", currency="EUR"),
        charge(2, "a", "-0.30"),
    ]
    await desk.sync(days(0, 4), said)

    found = await shown(reader, "Each day by provider, $currency", desk.namespace)

    name = f"{desk.namespace}/{desk.name}"
    first = datetime.combine(START, datetime.min.time(), UTC)
    assert found == [(first, name, Decimal("3.30")), (first + timedelta(days=2), name, Decimal("-0.30"))]
    euros = await shown(reader, "Each day by provider, $currency", desk.namespace, currency="EUR")
    assert [row.value for row in euros] == [50]


async def test_what_others_bill_is_not_counted_twice(reader: ReaderDB, desk: Desk) -> None:
    """A provider that only attributes what others bill adds to no day and no month."""
    await desk.sync(days(0, 1), [charge(0, "a", "5")])
    await accounts.register(
        desk.db, Account(desk.namespace, desk.name, "Provider", "openai", attribution_only=True), READ_AT
    )

    for panel in ("Each day by provider, $currency", "Each day by service, $currency", "Months, $currency"):
        assert await shown(reader, panel, desk.namespace) == []


async def test_months_are_compared_by_the_same_days(reader: ReaderDB, desk: Desk) -> None:
    """The month so far stands beside the same days of the month before, and beside the whole of it."""
    await desk.sync(days(-60, 5), [charge(-26, "2 Sep", "2"), charge(0, "28 Sep", "100"), charge(3, "1 Oct", "3")])

    [beside] = await shown(reader, "Against the month before, $currency", desk.namespace)
    months = await shown(reader, "Months, $currency", desk.namespace)

    assert tuple(beside) == (f"{desk.namespace}/{desk.name}", 3, 2, 50, 102)
    assert [tuple(row) for row in months] == [("2026-09", 102), ("2026-10", 3)]


async def test_small_services_are_added_up(reader: ReaderDB, desk: Desk) -> None:
    """Beyond the twelve that cost most, services are one, and nothing is left out."""
    said = [charge(day, "x", str(10 * n + 1), service=f"S{n:02}") for n in range(15) for day in (0, 1)]
    await desk.sync(days(0, 2), said)

    totals: defaultdict[str, Decimal] = defaultdict(Decimal)
    for row in await shown(reader, "Each day by service, $currency", desk.namespace):
        totals[row.metric] += row.value

    assert len(totals) == 13
    assert totals["other"] == 2 * (1 + 11 + 21)
    assert sum(totals.values()) == 2 * sum(10 * n + 1 for n in range(15))


async def test_other_teams_and_providers_are_left_out(reader: ReaderDB, desk: Desk, writer: WriterDB) -> None:
    """The variables narrow a panel to what is chosen, by whole names."""
    other = Desk(writer, desk.namespace, f"{desk.name}-two")
    await other.open()
    for each in (desk, other):
        await each.sync(days(0, 1), [charge(0, "a", "5")])

    panel = "Each day by provider, $currency"
    assert len(await shown(reader, panel, desk.namespace)) == 2
    assert len(await shown(reader, panel, desk.namespace, provider=desk.name)) == 1
    assert len(await shown(reader, panel, desk.namespace, provider=f"({desk.name}|{other.name})")) == 2
    assert await shown(reader, panel, desk.namespace, provider="end") == []


async def test_syncs_are_listed_with_what_they_did(reader: ReaderDB, desk: Desk) -> None:
    """Each sync is a row, newest first, and counted on its day."""
    await desk.sync(days(0, 1), [charge(0, "a", "5")], at=END - timedelta(days=1))
    await desk.sync(days(0, 1), [charge(0, "a", "4")], at=END - timedelta(hours=1))

    last = await shown(reader, "The last syncs", desk.namespace, board="syncs")
    each_day = await shown(reader, "Syncs each day", desk.namespace, board="syncs")

    assert [row.Begun for row in last] == [END - timedelta(hours=1), END - timedelta(days=1)]
    assert [row.value for row in each_day] == [1, 1]
