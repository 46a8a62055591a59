"""The terms of channels, what cannot be delivered, and processes that die between any two steps."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from typing import Any, Self

import pytest
from sqlalchemy import event

from ledger import leases
from ledger.alerts.evaluation import evaluate
from ledger.charge import Charge
from ledger.window import DAY, Span, midnight
from reconciler.alerting.delivery import Delivery
from reconciler.connectors.scripted import Reply, ScriptedServer
from reconciler.sources.base import Key
from tests.integration.ledger.conftest import Desk
from tests.integration.reconciler.conftest import Plant
from tests.integration.reconciler.test_alerts import Receiver, _day, team

OUTBOX = "select what, state from notification where namespace = :ns order by id"


@pytest.fixture
async def receiver(plant: Plant) -> AsyncIterator[Receiver]:
    async with ScriptedServer() as server:
        plant.source.secrets[plant.namespace, "hook"] = {"url": f"{server.url}/hook"}
        yield Receiver(server)


def channel(plant: Plant, **terms: Any) -> Key:
    return plant.put("hook", "Channel", type="webhook", secretRef={"name": "hook"}, **terms)


async def breach(plant: Plant, amount: str = "95.00", **terms: Any) -> None:
    """A team whose budget is crossed, and whose channel has these terms."""
    team(plant)
    channel(plant, **terms)
    plant.books.bills = {_day(1): [amount]}
    plant.put()
    await plant.settle()


async def later(plant: Plant, span: timedelta) -> None:
    plant.clock.now += span
    await plant.settle(Key("Channel", plant.namespace, "hook"))


async def test_what_is_too_light_is_not_sent(plant: Plant, receiver: Receiver) -> None:
    """A channel for grave things is not told of others; the outbox says that they were skipped."""
    await breach(plant, minimumSeverity="critical")

    assert receiver.said() == []
    assert await plant.rows(OUTBOX) == [("firing", "Skipped")]


async def test_quiet_hours_are_kept(plant: Plant, receiver: Receiver) -> None:
    """What is not critical waits for the end of the quiet hours, and no attempt is used up."""
    await breach(plant, quietHours={"start": "11:00", "end": "14:00"})
    assert receiver.said() == []

    await later(plant, timedelta(hours=2))

    assert receiver.said() == [("firing", "90%")]
    assert await plant.rows("select attempts from notification where namespace = :ns") == [(1,)]


async def test_what_is_critical_wakes_people(plant: Plant, receiver: Receiver) -> None:
    """Quiet hours hold back nothing critical, unless they say so."""
    await breach(plant, "120.00", quietHours={"start": "11:00", "end": "14:00"})

    assert receiver.said() == [("firing", "100%")]


async def test_no_more_than_the_rate_limit_goes_out(plant: Plant, receiver: Receiver) -> None:
    """What is over the limit goes out when the limit lets it, and nothing is lost."""
    plant.put(
        "twice", "Alert", budgetRef={"name": "ai"}, on="Spend", levels=[{"percent": 10}], channels=[{"name": "hook"}]
    )
    await breach(plant, rateLimit={"messages": 1, "per": "1h"})
    assert len(receiver.told) == 1

    await later(plant, timedelta(minutes=30))
    assert len(receiver.told) == 1
    await later(plant, timedelta(minutes=31))

    assert sorted(receiver.said()) == [("firing", "10%"), ("firing", "90%")]


async def test_a_burst_goes_out_as_one(plant: Plant, receiver: Receiver) -> None:
    """A digest waits for what else comes, then says all of it at once."""
    plant.put(
        "twice", "Alert", budgetRef={"name": "ai"}, on="Spend", levels=[{"percent": 10}], channels=[{"name": "hook"}]
    )
    await breach(plant, digest={"wait": "5m"})
    assert receiver.told == []

    await later(plant, timedelta(minutes=5))

    [digest] = receiver.told
    assert sorted(message["level"] for message in digest["messages"]) == ["10%", "90%"]


async def test_a_suspended_channel_keeps_what_it_has(plant: Plant, receiver: Receiver) -> None:
    """Messages wait, and go out when it is no longer suspended."""
    await breach(plant, suspend=True)
    assert receiver.said() == []
    assert plant.ready(Key("Channel", plant.namespace, "hook")) == ("False", "Suspended")

    channel(plant)
    await later(plant, timedelta(seconds=1))

    assert receiver.said() == [("firing", "90%")]


async def test_a_dead_letter_is_seen(plant: Plant, receiver: Receiver) -> None:
    """After a day of attempts a message is given up, and the channel says so until a person comes."""
    receiver.fault = Reply(503)
    await breach(plant)
    for _ in range(30):
        await later(plant, timedelta(hours=1))

    assert await plant.rows(OUTBOX) == [("firing", "Dead")]
    assert plant.ready(Key("Channel", plant.namespace, "hook")) == ("False", "DeadLetters")
    assert plant.status(Key("Channel", plant.namespace, "hook"))["dead"] == 1


async def test_a_channel_that_never_comes_is_given_up(plant: Plant, receiver: Receiver) -> None:
    """What is to be told to a Channel that does not exist waits for it for a day."""
    team(plant)
    plant.source.remove(Key("Channel", plant.namespace, "hook"))
    plant.books.bills = {_day(1): ["95.00"]}
    plant.put()
    await plant.settle()
    assert await plant.rows(OUTBOX) == [("firing", "Waiting")]

    plant.clock.now += timedelta(hours=25)
    await plant.settle()

    assert await plant.rows(OUTBOX) == [("firing", "Dead")]


class Killed(Exception):
    """The process dies here."""


class Death:
    """Lets the process die before the `nth` statement, or commit, that it sends to the database."""

    def __init__(self, plant: Plant, nth: int) -> None:
        self.engine, self.left, self.came = plant.db.engine.sync_engine, nth, False

    def __enter__(self) -> Self:
        event.listen(self.engine, "before_cursor_execute", self._statement)
        event.listen(self.engine, "commit", self._commit)
        return self

    def __exit__(self, *_error: object) -> None:
        event.remove(self.engine, "before_cursor_execute", self._statement)
        event.remove(self.engine, "commit", self._commit)

    def _statement(self, *_arguments: object) -> None:
        self._step()

    def _commit(self, _connection: object) -> None:
        self._step()

    def _step(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.came = True
            raise Killed


async def test_death_between_any_two_steps_loses_nothing(plant: Plant, receiver: Receiver) -> None:
    """Sync, judging and delivery die at each of their steps in turn: each turn is told, under one key, and once."""
    team(plant)
    await plant.settle()
    desk = Desk(plant.db, plant.namespace)
    await desk.open()
    step, died = 0, True
    while died:
        step += 1
        crossed = step % 2 == 1
        receiver.told.clear()
        receiver.keys.clear()
        with Death(plant, step) as death, suppress(Killed):
            await _cycle(plant, desk, "95.00" if crossed else "1.00")
        died = death.came
        await leases.give_back_all(plant.db, "me")  # as every process does that starts
        plant.clock.now += timedelta(minutes=3)
        await _cycle(plant, desk, "95.00" if crossed else "1.00")

        assert {message["what"] for message in receiver.told} == {"firing" if crossed else "retracted"}
        assert len(set(receiver.keys)) == 1
        assert {state for _, state in await plant.rows(OUTBOX)} == {"Delivered"}
        plant.clock.now += timedelta(minutes=3)
    assert step > 20
    turns = await plant.rows(
        "select to_state from alert_transition where namespace = :ns and level = '90%' and to_state <> 'NoData' "
        "order by id"
    )
    assert [state for (state,) in turns] == ["Firing", "Retracted"] * (step // 2) + ["Firing"] * (step % 2)


async def _cycle(plant: Plant, desk: Desk, amount: str) -> None:
    """All that a process does: it reads the vendor's bill, judges what that touches, and delivers."""
    day = midnight(_day(3))
    bill = [Charge(day, day + DAY, "USD", Decimal(amount), "api", "S", "Vendor")]
    await desk.sync(Span(day, day + DAY), bill, at=plant.clock.now)
    while await evaluate(plant.db, plant.clock.now):
        pass
    await Delivery(plant.deps, lambda _key: None).round()
