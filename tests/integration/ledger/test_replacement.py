"""Invariants 1 to 5 of the ledger, one by one and then over random histories against the oracle."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.charge import Charge
from ledger.columns import Columns
from ledger.database import WriterDB
from ledger.errors import InvalidCharge
from ledger.intake import MEMORY, Memory
from ledger.window import Window
from tests.integration.ledger.conftest import READ_AT, START, Desk, charge, days
from tests.integration.ledger.oracle import Oracle, multiset, sums

LATER = READ_AT + timedelta(hours=1)


async def test_a_first_sync_stores_every_charge(desk: Desk) -> None:
    """What came in is what is stored, and the report says so."""
    report = await desk.sync(days(0, 5), [charge(0, "a", "1.5"), charge(3, "b", "-0.25")])

    assert (report.read, report.inserted, report.changed, report.removed) == (2, 2, 0, 0)
    assert multiset(await desk.charges()) == multiset([charge(0, "a", "1.5"), charge(3, "b", "-0.25")])


async def test_half_characters_stop_no_sync(desk: Desk) -> None:
    """Halves of surrogate pairs, which no database holds, are stored as question marks, and are no news next time."""
    odd = charge(0, "a\ud800", "1.5", service="S\udfff")._replace(tags={"k\ud800": "\ud800"})

    await desk.sync(days(0, 2), [odd])
    again = await desk.sync(days(0, 2), [odd, charge(0, "b", "2", service="\ud800")], at=LATER)

    assert (again.inserted, again.changed, again.removed) == (1, 0, 0)
    assert {(c.sku_id, c.service_name) for c in await desk.charges()} == {("a?", "S?"), ("b", "?")}
    assert await desk.rollup() == {(START, "S?", "USD"): (Decimal("1.5"), 1), (START, "?", "USD"): (Decimal(2), 1)}


async def test_repeating_a_sync_writes_nothing(desk: Desk) -> None:
    """Unchanged rows are not written again: same tuples, no history, no dead tuples in the partitions."""
    await desk.sync(days(0, 5), [charge(0, "a", "1.5"), charge(3, "b", "2")])
    before = await desk.rows("select ctid::text, xmin::text from charge where namespace = :ns order by 1")

    report = await desk.sync(days(0, 5), [charge(3, "b", "2.00"), charge(0, "a", "1.5")], at=LATER)

    assert (report.inserted, report.changed, report.removed) == (0, 0, 0)
    assert await desk.rows("select ctid::text, xmin::text from charge where namespace = :ns order by 1") == before
    assert await desk.rows("select count(*) from charge_history where namespace = :ns") == [(0,)]


async def test_only_changed_rows_are_written(desk: Desk) -> None:
    """One restated line of a day leaves the tuples of the others alone."""
    same = [charge(1, f"line {n}", "1") for n in range(20)]
    await desk.sync(days(0, 2), [*same, charge(1, "moved", "5")])
    kept = "select ctid::text, xmin::text from charge where namespace = :ns and sku_id <> 'moved' order by 1"
    before = await desk.rows(kept)

    report = await desk.sync(days(0, 2), [*same, charge(1, "moved", "7")], at=LATER)

    assert (report.inserted, report.changed, report.removed) == (0, 1, 0)
    assert await desk.rows(kept) == before


async def test_rows_that_the_vendor_no_longer_returns_leave(desk: Desk) -> None:
    """They leave the current ledger and stay in the history with the span in which they were believed."""
    await desk.sync(days(0, 2), [charge(0, "a", "1"), charge(1, "b", "2")])

    report = await desk.sync(days(0, 2), [charge(0, "a", "1")], at=LATER)

    assert (report.inserted, report.changed, report.removed) == (0, 0, 1)
    history = await desk.rows(
        "select sku_id, billed_cost, believed_from, believed_to from charge_history where namespace = :ns"
    )
    assert history == [("b", Decimal(2), READ_AT, LATER)]


async def test_a_day_that_becomes_empty_leaves_no_rollup(desk: Desk) -> None:
    """The rollup has no lines of zero charges."""
    await desk.sync(days(0, 2), [charge(0, "a", "1"), charge(1, "b", "2")])

    await desk.sync(days(1, 2), [], at=LATER)

    assert await desk.rollup() == sums([charge(0, "a", "1")])


async def test_a_page_that_fails_half_way_changes_nothing(desk: Desk) -> None:
    """An error of the vendor in mid-window leaves the ledger as it was."""
    await desk.sync(days(0, 3), [charge(0, "a", "1")])

    async def broken() -> AsyncIterator[Sequence[Charge]]:
        yield [charge(0, "a", "100")]
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await desk.sync(days(0, 3), broken(), at=LATER)

    assert multiset(await desk.charges()) == multiset([charge(0, "a", "1")])


async def test_a_charge_outside_the_window_is_refused(desk: Desk) -> None:
    """It would never be replaced again, so the whole window is refused."""
    with pytest.raises(InvalidCharge, match="outside the window"):
        await desk.sync(days(0, 2), [charge(0, "a", "1"), charge(2, "b", "1")])

    assert await desk.charges() == []


async def test_exact_duplicates_are_told_apart(desk: Desk) -> None:
    """Lines that say exactly the same are all kept, within a batch and across batches, first and later."""
    twice = [charge(0, "a", "1.1")] * 5
    await desk.sync(days(0, 1), twice)
    assert await desk.rollup() == sums(twice)

    await desk.sync(days(0, 1), [*twice, charge(0, "a", "1.1"), charge(0, "b", "2")], at=LATER)
    assert await desk.rollup() == sums([*twice, charge(0, "a", "1.1"), charge(0, "b", "2")])

    report = await desk.sync(days(0, 1), twice[:1], at=LATER + timedelta(hours=1))
    assert report.removed == 6
    assert multiset(await desk.charges()) == multiset(twice[:1])


@pytest.mark.parametrize("duplicate", [False, True])
async def test_a_large_window_is_written_while_it_is_read(desk: Desk, duplicate: bool) -> None:
    """Into empty days of one month, a window beyond what memory may hold needs no second pass; the same comes out."""
    lines = [charge(4, f"line {n}", f"{n}.01") for n in range(40)]
    lines += lines[:1] if duplicate else []

    report = await desk.sync(days(3, 10), lines, memory=Memory(held=500))

    assert (report.read, report.inserted) == (len(lines), len(lines))
    assert multiset(await desk.charges()) == multiset(lines)
    assert await desk.rollup() == sums(lines)


async def test_a_large_window_that_breaks_off_leaves_nothing(desk: Desk) -> None:
    """Also when half of it had been sent to the database already."""
    lines = [charge(4, f"line {n}", "1") for n in range(40)]

    async def broken() -> AsyncIterator[Sequence[Charge]]:
        for at in range(0, 40, 2):
            yield lines[at : at + 2]
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await desk.sync(days(3, 10), broken(), memory=Memory(held=500))

    assert await desk.charges() == []
    assert await desk.rollup() == {}


@pytest.mark.parametrize("breaks_off", [False, True])
async def test_thousands_of_rows_are_read_ahead(desk: Desk, breaks_off: bool) -> None:
    """Duplicates that meet in the database neither lose nor double what was read meanwhile, and a fault stays one."""
    lines = [charge(4, f"line {n % 2_500}", "1") for n in range(3_000)]

    async def batches() -> AsyncIterator[Sequence[Charge]]:
        for first in range(0, 3_000, 1_000):
            yield Columns.of(lines[first : first + 1_000])
        if breaks_off:
            raise ConnectionResetError

    if breaks_off:
        with pytest.raises(ConnectionResetError):
            await desk.sync(days(3, 10), batches(), memory=Memory(held=500))
        assert await desk.charges() == []
    else:
        report = await desk.sync(days(3, 10), batches(), memory=Memory(held=500))
        assert (report.read, report.inserted) == (3_000, 3_000)
        assert multiset(await desk.charges()) == multiset(lines)
        assert await desk.rollup() == sums(lines)


async def test_an_unpriced_line_is_counted_not_free(desk: Desk) -> None:
    """A charge without a price adds nothing to the sums and one to the unpriced lines."""
    await desk.sync(days(0, 1), [charge(0, "a", None), charge(0, "b", "1")])

    found = await desk.rows("select billed_cost, charges, unpriced from daily_cost where namespace = :ns")
    assert found == [(Decimal(1), 2, 1)]


async def test_currencies_are_kept_apart(desk: Desk) -> None:
    """The same line in two currencies is two lines of the rollup."""
    both = [charge(0, "a", "1", currency="USD"), charge(0, "a", "2", currency="EUR")]
    await desk.sync(days(0, 1), both)

    assert await desk.rollup() == sums(both)


async def test_the_report_says_what_was_restated(desk: Desk) -> None:
    """Rows and amounts inserted, changed and removed, and the net change, by currency and window."""
    await desk.sync(days(0, 2), [charge(0, "up", "10"), charge(0, "gone", "3"), charge(1, "same", "1")])

    await desk.sync(days(0, 2), [charge(0, "up", "12.5"), charge(0, "new", "4"), charge(1, "same", "1")], at=LATER)

    report = await desk.rows(
        """select billing_currency, restated, rows_inserted, rows_changed, rows_removed,
                  amount_inserted, amount_changed, amount_removed, net
           from restatement where namespace = :ns and at = :at""",
        at=LATER,
    )
    assert report == [("USD", True, 1, 1, 1, Decimal(4), Decimal("2.5"), Decimal(3), Decimal("3.5"))]


async def test_a_day_still_filling_is_no_restatement(desk: Desk) -> None:
    """Figures that arrive for a day that was not whole yet are reported apart from restatements."""
    today = READ_AT.date()
    offset = (today - START).days
    await desk.sync(days(offset, offset + 1), [charge(offset, "a", "1")])

    await desk.sync(days(offset, offset + 1), [charge(offset, "a", "2")], at=LATER)

    found = await desk.rows("select restated, net from restatement where namespace = :ns and at = :at", at=LATER)
    assert found == [(False, Decimal(1))]


async def test_memory_is_kept_with_the_window(desk: Desk) -> None:
    """What the connector asked to remember is saved with the window, and only with it."""
    await desk.sync(Window(days(0, 1), remember={"file": {"etag": "1"}, "old": 1}), [charge(0, "a", "1")])
    with pytest.raises(InvalidCharge):
        await desk.sync(Window(days(0, 1), remember={"file": {"etag": "2"}}), [charge(5, "a", "1")], at=LATER)
    await desk.sync(Window(days(0, 1), remember={"old": None}), [charge(0, "a", "1")], at=LATER)

    assert await desk.rows("select key, value from connector_memory where namespace = :ns") == [("file", {"etag": "1"})]


async def test_windows_cut_otherwise_than_before_replace_each_other(desk: Desk) -> None:
    """A vendor whose days are not UTC days overlaps earlier pieces; nothing is lost and nothing counted twice."""
    oracle = Oracle()
    shifted = days(0, 3)
    utc = [charge(n, f"{n}-{hour}", "1", hour=hour) for n in range(4) for hour in (0, 6, 20)]
    await desk.sync(days(0, 4), utc)
    oracle.replace(days(0, 4), utc, READ_AT)
    moved = type(shifted)(shifted.start + timedelta(hours=7), shifted.end + timedelta(hours=7))
    inside = [charge(1, "x", "9", hour=7), charge(3, "y", "2", hour=6)]

    await desk.sync(moved, inside, at=LATER)
    oracle.replace(moved, inside, LATER)
    assert multiset(await desk.charges()) == multiset(oracle.charges)
    await desk.sync(days(0, 4), utc, at=LATER + timedelta(hours=1))
    oracle.replace(days(0, 4), utc, LATER)

    assert multiset(await desk.charges()) == multiset(oracle.charges)
    assert await desk.rollup() == sums(oracle.charges)


AMOUNTS = st.sampled_from(["0", "1", "1.10", "-2.5", "0.000000001", "99999999999999.99", None])
LINES = st.tuples(
    st.integers(0, 5), st.sampled_from("abc"), AMOUNTS, st.sampled_from(["USD", "EUR"]), st.sampled_from([0, 5, 23])
)
STEPS = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.integers(1, 3),
        st.sampled_from([0, 0, 7]),
        st.lists(LINES, max_size=12),
        st.booleans(),
        st.sampled_from([MEMORY, Memory(held=300), Memory(held=1, kept=1, lines=1)]),
    ),
    max_size=6,
)


Step = tuple[int, int, int, list[tuple[int, str, str | None, str, int]], bool, Memory]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=STEPS)
async def test_random_histories_agree_with_the_oracle(writer: WriterDB, steps: list[Step]) -> None:
    """After any sequence of syncs, overlaps, restatements and crashes: charges, rollups and every past belief agree."""
    desk, oracle = Desk(writer, f"team-{uuid4().hex[:10]}"), Oracle()
    await desk.open()
    at = READ_AT
    for first, length, hours, lines, crash, memory in steps:
        at += timedelta(minutes=1)
        base = days(first, first + length)
        window = type(base)(base.start + timedelta(hours=hours), base.end + timedelta(hours=hours))
        charges = [
            charge(day, sku, cost, currency=code, hour=hour)._replace(x_model=sku)
            for day, sku, cost, code, hour in lines
        ]
        inside = [c for c in charges if window.start <= c.charge_period_start < window.end]
        if crash:
            with pytest.raises(ZeroDivisionError):
                await desk.sync(window, _crashing(inside), at, memory)
        else:
            await desk.sync(window, inside, at, memory)
            oracle.replace(window, inside, at)
        assert multiset(await desk.charges()) == multiset(oracle.charges)
        assert await desk.rollup() == sums(oracle.charges)
    for moment in [READ_AT, *(READ_AT + timedelta(minutes=n + 0.5) for n in range(len(steps) + 1))]:
        assert multiset(await desk.charges(as_of=moment)) == multiset(oracle.as_of(moment))


async def _crashing(charges: Sequence[Charge]) -> AsyncIterator[Sequence[Charge]]:
    yield charges
    raise ZeroDivisionError
