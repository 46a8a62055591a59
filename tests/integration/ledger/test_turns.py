"""A provider's turn: begun whole or not at all, and ended whole."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from ledger import leases, turns
from ledger.standing import standing
from ledger.turns import End, Missed, Turn, Wish
from tests.integration.ledger.conftest import READ_AT, Desk

LATER = READ_AT + timedelta(minutes=1)
MINUTE = timedelta(minutes=1)
RUNS = "select outcome, reason, calls::int, bytes_read::int from sync_run where namespace = :ns order by id"
CALLS = "select day, calls::int, bytes_read::int from vendor_call where namespace = :ns"


def _wish(desk: Desk, holder: str = "me", ended_at: datetime | None = None) -> Wish:
    return Wish(desk.namespace, desk.name, holder, MINUTE, "Schedule", ended_at)


async def _begun(desk: Desk, holder: str = "me") -> Turn:
    turn = await turns.begin(desk.db, _wish(desk, holder), READ_AT)
    assert isinstance(turn, Turn)
    return turn


async def test_a_turn_brings_what_its_sync_needs(desk: Desk) -> None:
    """The connector's memory, the calls of the day, and whether people wait for it, as of the moment it begins."""
    await desk.rows(
        "insert into connector_memory values (:ns, :name, 'etag', '\"x\"'), (:ns, :name, 'n', '[1]') returning 1"
    )
    await desk.rows(
        "insert into vendor_call values (:ns, :name, :day, 3, 9), (:ns, :name, :day - 1, 5, 9) returning 1",
        day=READ_AT.date(),
    )

    turn = await _begun(desk)

    assert (turn.memory, turn.calls, turn.asked) == ({"etag": "x", "n": [1]}, 3, False)
    assert await desk.rows(RUNS) == [("Running", None, 0, 0)]


async def test_only_one_has_a_turn(desk: Desk) -> None:
    """While it lasts another is told that it is busy, and nothing of the other's is written."""
    await _begun(desk)

    assert await turns.begin(desk.db, _wish(desk, "other"), LATER) is Missed.BUSY
    assert await desk.rows(RUNS) == [("Running", None, 0, 0)]


async def test_who_has_not_heard_of_the_last_run_has_no_turn(desk: Desk) -> None:
    """It is told that there is news, and leaves the lease to whoever comes next."""
    await turns.end(desk.db, await _begun(desk), End("Succeeded"), LATER)

    assert await turns.begin(desk.db, _wish(desk), LATER) is Missed.NEWS
    assert await desk.rows(RUNS) == [("Succeeded", None, 0, 0)]
    assert isinstance(await turns.begin(desk.db, _wish(desk, "other", ended_at=LATER), LATER), Turn)


async def test_a_provider_that_is_gone_has_no_turn(desk: Desk) -> None:
    """One whose data was removed meanwhile gets no run that nobody would ever remove."""
    await desk.rows("delete from provider where namespace = :ns returning 1")

    assert await turns.begin(desk.db, _wish(desk), READ_AT) is Missed.NEWS
    assert await desk.rows(RUNS) == []


async def test_the_end_is_noted_whole(desk: Desk) -> None:
    """How it went, what it asked of the vendor, when the next is due; and the lease is free."""
    turn = await _begun(desk)

    end = End("Succeeded", next_at=LATER + timedelta(hours=6), calls=4, bytes_read=5_000)
    await turns.end(desk.db, turn, end, LATER)

    known = await standing(desk.db, desk.namespace, desk.name, LATER.date())
    assert known is not None
    assert (known.outcome, known.ended_at, known.last_sync_at) == ("Succeeded", LATER, LATER)
    assert known.next_sync_at == LATER + timedelta(hours=6)
    assert await desk.rows(RUNS) == [("Succeeded", None, 4, 5_000)]
    assert await desk.rows(CALLS) == [(LATER.date(), 4, 5_000)]
    assert await leases.take(desk.db, desk.namespace, desk.name, "next", MINUTE) is not None


async def test_a_failure_dates_no_success(desk: Desk) -> None:
    """It says why, and the time of the last success and the next due time stay as they were."""
    await turns.end(desk.db, await _begun(desk), End("Failed", "BadData", "no"), LATER)

    known = await standing(desk.db, desk.namespace, desk.name, LATER.date())
    assert known is not None
    assert (known.outcome, known.reason, known.error) == ("Failed", "BadData", "no")
    assert (known.last_sync_at, known.next_sync_at) == (None, None)
    assert await desk.rows(CALLS) == []


@pytest.mark.parametrize("outcome", ["Succeeded", "Failed"])
async def test_the_end_of_one_who_was_taken_for_dead_changes_nothing(desk: Desk, outcome: str) -> None:
    """Another has the provider's turn by then; the late one neither dates anything nor frees the other's lease."""
    late = await _begun(desk)
    await desk.rows("update lease set expires_at = clock_timestamp() where namespace = :ns returning 1")
    await _begun(desk, holder="other")

    await turns.end(desk.db, late, End(outcome, next_at=LATER, calls=7), LATER)  # type: ignore[arg-type]  # from a list

    known = await standing(desk.db, desk.namespace, desk.name, LATER.date())
    assert known is not None
    assert (known.last_sync_at, known.next_sync_at) == (None, None)
    assert await desk.rows(RUNS) == [("Abandoned", "Interrupted", 0, 0), ("Running", None, 0, 0)]
    assert await leases.take(desk.db, desk.namespace, desk.name, "third", MINUTE) is None
