"""What a Provider's user sees, through the whole engine on a real ledger."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from ledger.window import Span, Window
from reconciler.errors import BadData, RetryLater
from tests.integration.reconciler.conftest import PATIENCE, START, Plant

TODAY = START.date()
RUNS = "select trigger, outcome from sync_run where namespace = :ns order by id"


def _day(back: int) -> date:
    return TODAY - timedelta(days=back)


async def test_a_provider_becomes_ready_with_its_figures(plant: Plant) -> None:
    """The first sync reads the history; status shows month to date, completeness, times and account."""
    plant.books.bills = {_day(2): ["1.50", "2"], _day(0): ["0.25"]}
    key = plant.put()

    await plant.settle()

    assert plant.ready(key) == ("True", "Succeeded")
    status = plant.status(key)
    assert status["monthToDate"] == [{"amount": "3.75", "currency": "USD"}]
    assert status["completeThrough"] == _day(2).isoformat()
    assert status["account"] == {"id": "acc-1", "name": "Main account", "checkedAt": "2026-11-21T12:00:00Z"}
    assert "syncCost" not in status
    assert status["nextSyncTime"] == "2026-11-21T18:00:00Z"
    assert await plant.rows(RUNS) == [("First", "Succeeded")]


async def test_the_spec_says_whether_totals_count_it(plant: Plant) -> None:
    """`attributionOnly` reaches the account at once; absent, the connector's own default holds."""
    counted = "select attribution_only from provider where namespace = :ns"
    for stated in (True, False, None):
        spec: dict[str, Any] = {} if stated is None else {"attributionOnly": stated}
        plant.put(**spec)
        await plant.settle()
        assert await plant.rows(counted) == [(bool(stated),)]


async def test_windows_are_read_newest_first(plant: Plant) -> None:
    """A user sees this month before the months behind it."""
    plant.put(history="70d")

    await plant.settle()

    starts = [span.start for span in plant.books.read]
    assert starts == sorted(starts, reverse=True)
    assert len(starts) > 2


async def test_days_that_still_move_are_read_again_and_others_not(plant: Plant) -> None:
    """The next sync reads the trailing days that vendors may restate, and what it finds replaces them."""
    plant.books.bills = {_day(4): ["4"], _day(1): ["1"]}
    key = plant.put()
    await plant.settle()
    plant.books.bills = {_day(4): ["400"], _day(1): ["1.1"]}
    plant.books.read.clear()

    await plant.settle(key)

    [span] = plant.books.read
    assert span == Span(datetime(2026, 11, 18, tzinfo=UTC), datetime(2026, 11, 22, tzinfo=UTC))
    assert await plant.total() == Decimal("5.1")


async def test_nothing_is_due_before_its_time(plant: Plant) -> None:
    """A restart with no memory of its own finds in the database that nothing is due."""
    key = plant.put(interval="6h")
    await plant.settle()
    before = await plant.rows("select updated_at, status from resource where namespace = :ns")
    plant.books.read.clear()

    async with plant.running() as engine:
        await plant.until("select 1 from resource where namespace = :ns and updated_at >= :at", [(1,)], at=START)
        async with asyncio.timeout(PATIENCE):
            await engine.queue.idle()

    assert plant.books.read == []
    assert [status for _, status in before] == [plant.status(key)]


async def test_a_schedule_that_has_come_is_kept(plant: Plant) -> None:
    """After the interval the next start syncs, and says that the schedule asked for it."""
    plant.put(interval="6h")
    await plant.settle()
    plant.clock.now = START + timedelta(hours=7)

    async with plant.running():
        await plant.until(RUNS, [("First", "Succeeded"), ("Schedule", "Succeeded")])


async def test_a_change_of_the_spec_syncs_at_once(plant: Plant) -> None:
    """And is observed: the status speaks of the new generation."""
    key = plant.put()
    async with plant.running():
        await plant.until(RUNS, [("First", "Succeeded")])
        plant.put(history="9d")
        await plant.until("select status->>'observedGeneration' from resource where namespace = :ns", [("2",)])

    assert await plant.rows(RUNS) == [("First", "Succeeded"), ("SpecChange", "Succeeded")]
    assert plant.status(key)["observedGeneration"] == 2


async def test_the_annotation_asks_for_a_sync_once(plant: Plant) -> None:
    """It is mirrored to the status, so that it asks once."""
    key = plant.put()
    async with plant.running():
        await plant.until_ready(key, ("True", "Succeeded"))
        plant.annotate(key, requested_at="2026-11-21T12:00:00Z")
        await plant.until(RUNS, [("First", "Succeeded"), ("Manual", "Succeeded")])
        await plant.until(
            "select status->>'lastHandledReconcileAt' from resource where namespace = :ns", [("2026-11-21T12:00:00Z",)]
        )
    async with plant.running():
        await plant.until("select count(*) from resource where namespace = :ns", [(1,)])

    assert len(await plant.rows(RUNS)) == 2
    assert plant.status(key)["lastHandledReconcileAt"] == "2026-11-21T12:00:00Z"


async def test_a_request_in_the_database_is_answered(plant: Plant) -> None:
    """Its period is read whatever is due, and the request names the run that answered it."""
    plant.put()
    ask = """
        insert into sync_request (namespace, provider, requested_at, requested_by, first_day, after_last_day)
        values (:ns, 'vendor', :at, 'me', :first, :after) returning id
    """
    async with plant.running():
        await plant.until(RUNS, [("First", "Succeeded")])
        plant.books.read.clear()
        await plant.rows(ask, at=START, first=_day(300), after=_day(298))
        await plant.rows("select pg_notify('costhook_requests', '{}')")
        await plant.until("select run_id is not null from sync_request where namespace = :ns", [(True,)])
        await plant.until(RUNS, [("First", "Succeeded"), ("Manual", "Succeeded")])

    assert Span.of_days(_day(300), _day(298)) in plant.books.read


async def test_a_wrong_key_stalls_with_words_that_help(plant: Plant) -> None:
    """Ready=False and Stalled, no retry at once; a rotated Secret mends it."""
    plant.source.secrets[plant.namespace, "books"] = {"apiKey": "bad"}
    key = plant.put()
    async with plant.running() as engine:
        await plant.until(RUNS, [("First", "Failed")])
        async with asyncio.timeout(PATIENCE):
            await engine.queue.idle()
        assert plant.ready(key) == ("False", "Unauthorized")
        assert [c["type"] for c in plant.status(key)["conditions"]] == ["Ready", "Stalled"]

        plant.source.secrets[plant.namespace, "books"] = {"apiKey": "good-key"}
        plant.source.put(plant.source.resources[key])
        await plant.until_ready(key, ("True", "Succeeded"))

    assert await plant.rows(RUNS) == [("First", "Failed"), ("SpecChange", "Succeeded")]


async def test_a_missing_secret_says_where_it_was_looked_for(plant: Plant) -> None:
    """Before the vendor is asked at all."""
    key = plant.put(secretRef={"name": "nowhere"})

    await plant.settle()

    assert plant.ready(key) == ("False", "SecretNotFound")
    assert "nowhere" in plant.status(key)["conditions"][0]["message"]
    assert plant.books.checks == 0


async def test_a_missing_key_in_the_secret_is_named(plant: Plant) -> None:
    """The message names the Secret, the key, and what it should hold."""
    key = plant.put(secretRef={"name": "books", "key": "token"})

    await plant.settle()

    message = plant.status(key)["conditions"][0]["message"]
    assert "books" in message
    assert "token" in message
    assert "the key of the books" in message


async def test_an_invalid_spec_stalls(plant: Plant) -> None:
    """With the field's path and what to do."""
    key = plant.put(interval="5x")

    await plant.settle()

    assert plant.ready(key)[0] == "False"
    assert "spec.interval" in plant.status(key)["conditions"][0]["message"]


async def test_a_passing_fault_is_tried_again_by_itself(plant: Plant) -> None:
    """Reconciling while it is; the ledger has what was read once it works."""
    plant.books.bills = {_day(1): ["7"]}
    faults = [RetryLater("503 from the books"), None]
    plant.books.fault = lambda _window: faults.pop(0) if len(faults) > 1 else None
    key = plant.put()

    async with plant.running():
        await plant.until_ready(key, ("True", "Succeeded"))

    assert await plant.rows(RUNS) == [("First", "Failed"), ("Schedule", "Succeeded")]
    assert await plant.total() == 7
    assert [e.reason for k, e in plant.source.events if k == key] == ["VendorUnavailable", "Succeeded"]


async def test_one_bad_window_does_not_stop_the_others(plant: Plant) -> None:
    """It is left as it was and told; the others are read all the same."""
    plant.books.bills = {_day(1): ["1"], _day(30): ["30"]}

    def october(window: Window) -> Exception | None:
        return BadData("row 7 is no row") if window.start.month == 10 else None

    plant.books.fault = october
    key = plant.put(history="45d")

    await plant.settle()

    assert plant.ready(key) == ("False", "BadRow")
    assert await plant.total() == 1


async def test_a_sync_that_was_cut_off_goes_on_where_it_stopped(plant: Plant) -> None:
    """Windows that were stored are not read again once they stopped moving."""
    plant.books.bills = {_day(1): ["1"], _day(30): ["30"], _day(60): ["60"]}
    plant.books.fault = lambda window: RetryLater("cut off") if window.start.month == 10 else None
    plant.put(history="70d")
    await plant.settle()
    assert await plant.total() == 1
    plant.books.read.clear()
    plant.books.fault = lambda _window: None

    await plant.settle()

    assert await plant.total() == 91
    november = [span for span in plant.books.read if span.start.month == 11]
    assert [span.start.day for span in november] == [18]
