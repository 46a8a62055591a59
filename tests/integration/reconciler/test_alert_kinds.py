"""What alerts can be on, and the times they keep: each kind fires for its reason and ends when that is gone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Any

import pytest

from reconciler.connectors.scripted import ScriptedServer
from reconciler.errors import RetryLater
from reconciler.sources.base import Key
from tests.integration.ledger.conftest import Desk, charge, days
from tests.integration.reconciler.conftest import START, Plant
from tests.integration.reconciler.test_alerts import Receiver, team

TODAY = START.date()
HOUR = timedelta(hours=1)


def _day(back: int) -> date:
    return TODAY - timedelta(days=back)


@pytest.fixture
async def receiver(plant: Plant) -> AsyncIterator[Receiver]:
    async with ScriptedServer() as server:
        plant.source.secrets[plant.namespace, "hook"] = {"url": f"{server.url}/hook"}
        yield Receiver(server)


def watch(plant: Plant, on: str, level: dict[str, Any], **spec: Any) -> Key:
    """An alert of one level that tells the webhook."""
    plant.put("hook", "Channel", type="webhook", secretRef={"name": "hook"})
    return plant.put("watch", "Alert", on=on, levels=[level], channels=[{"name": "hook"}], **spec)


async def later(plant: Plant, span: timedelta, *keys: Key) -> None:
    plant.clock.now += span
    await plant.settle(*keys)


async def test_a_forecast_fires_before_the_money_is_spent(plant: Plant, receiver: Receiver) -> None:
    """80 of 100 spent by the twentieth, four a day: spend is fine, its projected end is not."""
    plant.put("ai", "Budget", amount="100.00", currency="USD")
    watch(plant, "Forecast", {"percent": 100}, budgetRef={"name": "ai"})
    plant.put("spent", "Alert", on="Spend", levels=[{"percent": 100}], budgetRef={"name": "ai"})
    plant.books.bills = {_day(back): ["4.00"] for back in range(1, 21)}
    plant.put(history="30d")

    await plant.settle()

    assert receiver.said() == [("firing", "100%")]
    assert receiver.told[0]["amount"] == "120"
    assert plant.status(Key("Alert", plant.namespace, "spent"))["state"] == "Ok"
    stood = plant.status(Key("Budget", plant.namespace, "ai"))
    assert (stood["burnRate"], stood["projected"], stood["exhaustedOn"]) == ("4", "120", "2026-11-25")


async def test_a_change_against_the_period_before(plant: Plant, receiver: Receiver) -> None:
    """Nineteen whole days cost twice as much as the same days of the month before."""
    watch(plant, "Spend", {"changePercent": 90}, currency="USD")
    plant.books.bills = {_day(back): ["2.00" if back < 21 else "1.00"] for back in range(60)}
    plant.put(history="60d")

    await plant.settle()

    assert receiver.said() == [("firing", "+90%")]
    assert "100% more" in receiver.told[0]["summary"]


async def test_a_period_that_is_known_in_part_is_no_measure(plant: Plant, receiver: Receiver) -> None:
    """What began in the middle of the month before seems to have doubled, and has not."""
    alert = watch(plant, "Spend", {"changePercent": 90}, currency="USD")
    plant.books.bills = {_day(back): ["1.00"] for back in range(32)}
    plant.put(history="60d")

    await plant.settle()

    assert (receiver.said(), plant.status(alert)["state"]) == ([], "NoData")


async def test_a_past_day_that_moved(plant: Plant, receiver: Receiver) -> None:
    """A correction of more than the level fires for its provider, and is over when it no longer counts."""
    watch(plant, "Restatement", {"amount": "10.00"}, currency="USD")
    plant.books.bills = {_day(4): ["20.00"]}
    plant.put(restate="5d")
    await plant.settle()
    assert receiver.said() == []

    plant.books.bills = {_day(4): ["35.00"]}
    await later(plant, 7 * HOUR)
    assert receiver.said() == [("firing", "10 USD")]
    assert "vendor changed a past day by 15.00 USD" in receiver.told[0]["summary"]

    await later(plant, 25 * HOUR)
    assert receiver.said() == [("firing", "10 USD"), ("resolved", "10 USD")]


async def test_syncs_that_fail(plant: Plant, receiver: Receiver) -> None:
    """Two failures in a row fire; the first sync that goes well ends it."""
    watch(plant, "SyncFailure", {"count": 2})
    plant.put()
    plant.books.fault = lambda _window: RetryLater("the vendor is away")
    await plant.settle()
    assert receiver.said() == []
    await later(plant, HOUR)
    assert receiver.said() == [("firing", "2")]

    plant.books.fault = lambda _window: None
    await later(plant, HOUR)

    assert receiver.said() == [("firing", "2"), ("resolved", "2")]


async def test_data_that_is_late(plant: Plant, receiver: Receiver) -> None:
    """A day and six hours after a day's end it should be whole; time alone fires it when no sync brought it."""
    alert = watch(plant, "MissingData", {"after": "0s"})
    plant.put()
    await plant.settle()
    assert receiver.said() == []

    plant.books.fault = lambda _window: RetryLater("the vendor is away")
    await later(plant, 19 * HOUR, alert)
    assert receiver.said() == [("firing", "0s")]
    plant.books.fault = lambda _window: None
    await later(plant, HOUR)

    assert receiver.said() == [("firing", "0s"), ("resolved", "0s")]


async def test_lines_without_a_price(plant: Plant, receiver: Receiver) -> None:
    """A line that nobody can price fires, and ends when it has one."""
    alert = watch(plant, "UnpricedLines", {"count": 1})
    desk = Desk(plant.db, plant.namespace, "usage")
    await desk.open()
    await desk.sync(days(0, 1), [charge(0, "a", None)])
    await plant.settle()
    await desk.sync(days(0, 1), [charge(0, "a", "1.00")], at=START + HOUR)
    await later(plant, HOUR, alert)

    assert receiver.said() == [("firing", "1"), ("resolved", "1")]


async def test_it_waits_as_long_as_it_is_told_to(plant: Plant, receiver: Receiver) -> None:
    """A level that must stay crossed for an hour is pending until then, and time alone makes it fire."""
    _, alert = team(plant, pendingFor="1h")
    plant.books.bills = {_day(1): ["95.00"]}
    plant.put()
    await plant.settle()
    assert (receiver.said(), plant.status(alert)["state"]) == ([], "Pending")

    await later(plant, HOUR, alert)

    assert receiver.said() == [("firing", "90%")]


async def test_it_is_told_again_until_somebody_takes_it_on(plant: Plant, receiver: Receiver) -> None:
    """As long as it fires it is told again after a day; an acknowledgement ends that."""
    _, alert = team(plant, renotifyAfter="1d")
    plant.books.bills = {_day(1): ["95.00"]}
    plant.put()
    await plant.settle()
    await later(plant, 24 * HOUR, alert)
    assert receiver.said() == [("firing", "90%")] * 2
    assert len(set(receiver.keys)) == 2

    await plant.rows(
        "update alert_state set acknowledged_at = :now, acknowledged_by = 'me' where namespace = :ns "
        "and state = 'Firing' returning 1",
        now=plant.clock.now,
    )
    await later(plant, 48 * HOUR, alert)

    assert len(receiver.told) == 2


async def test_what_still_fires_when_a_silence_ends_is_told(plant: Plant, receiver: Receiver) -> None:
    """While it is silent nobody is told; it is judged and shown all the same."""
    _, alert = team(plant)
    await plant.rows(
        "insert into silence (namespace, starts_at, ends_at, reason, created_by, created_at) "
        "values (:ns, :start, :end, 'moving', 'me', :start) returning 1",
        start=START,
        end=START + HOUR,
    )
    plant.books.bills = {_day(1): ["95.00"]}
    plant.put()
    await plant.settle()
    assert (receiver.said(), plant.status(alert)["state"]) == ([], "Firing")

    await later(plant, HOUR, alert)

    assert receiver.said() == [("firing", "90%")]


async def test_silence_of_the_data_is_told_where_wanted(plant: Plant, receiver: Receiver) -> None:
    """With noData: Alert, a scope without data is told, and is over when data comes."""
    _, alert = team(plant, noData="Alert")
    await plant.settle()
    assert receiver.said() == [("firing", "100%")]
    assert "no data" in receiver.told[0]["summary"]

    plant.books.bills = {_day(2): ["1.00"]}
    plant.put()
    await plant.settle()

    assert receiver.said() == [("firing", "100%"), ("resolved", "100%")]
    assert plant.status(alert)["state"] == "Ok"


async def test_anomalies_say_that_they_are_not_judged_yet(plant: Plant, receiver: Receiver) -> None:
    """The schema knows them, and the condition tells the truth."""
    alert = watch(plant, "Anomaly", {"percent": 50}, budgetRef={"name": "ai"})
    await plant.settle()

    assert plant.ready(alert) == ("False", "NotYetSupported")
    assert receiver.said() == []
