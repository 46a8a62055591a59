"""Budgets and alerts through the whole engine: judged after syncs, told once, told the truth."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Any

import pytest

from reconciler.connectors.scripted import Reply, Request, ScriptedServer
from reconciler.sources.base import Key
from tests.integration.reconciler.conftest import START, Plant

TODAY = START.date()
TURNS = "select level, from_state, to_state, reason from alert_transition where namespace = :ns order by id"


def _day(back: int) -> date:
    return TODAY - timedelta(days=back)


class Receiver:
    """A webhook of the team's, and what it was told."""

    def __init__(self, server: ScriptedServer) -> None:
        self.server = server
        self.told: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.fault: Reply | None = None
        server.route("POST", "/hook", self._take)

    def _take(self, request: Request) -> Reply:
        if self.fault is not None:
            return self.fault
        self.told.append(json.loads(request.body))
        self.keys.append(request.headers["idempotency-key"])
        return Reply(204)

    def said(self) -> list[tuple[str, str]]:
        return [(message["what"], message["level"]) for message in self.told]


@pytest.fixture
async def receiver(plant: Plant) -> AsyncIterator[Receiver]:
    async with ScriptedServer() as server:
        plant.source.secrets[plant.namespace, "hook"] = {"url": f"{server.url}/hook"}
        yield Receiver(server)


def team(plant: Plant, **alert: Any) -> tuple[Key, Key]:
    """A budget of 100 USD over everything, its alert at 50, 90 and 100 percent, and the channel."""
    plant.put("hook", "Channel", type="webhook", secretRef={"name": "hook"})
    budget = plant.put("ai", "Budget", amount="100.00", currency="USD")
    levels = [{"percent": 50, "severity": "info"}, {"percent": 90}, {"percent": 100, "severity": "critical"}]
    spec = {"budgetRef": {"name": "ai"}, "on": "Spend", "levels": levels, "channels": [{"name": "hook"}], **alert}
    return budget, plant.put("over", "Alert", **spec)


async def test_a_breach_is_told_once_and_shown(plant: Plant, receiver: Receiver) -> None:
    """Of the levels crossed at once the gravest is told, the history has all, and nothing is told twice."""
    budget, alert = team(plant)
    plant.books.bills = {_day(2): ["60.00"], _day(1): ["35.50"]}
    plant.put()

    for _ in range(2):
        await plant.settle()

    assert receiver.said() == [("firing", "90%")]
    assert await plant.rows(TURNS) == [
        ("50%", "Ok", "Firing", "LimitCrossed"),
        ("90%", "Ok", "Firing", "LimitCrossed"),
    ]
    [told] = receiver.told
    assert (told["amount"], told["limit"], told["currency"], told["budget"]) == ("95.5", "90", "USD", "ai")
    assert plant.status(alert)["state"] == "Firing"
    assert plant.status(alert)["firing"] == "50%, 90%"
    stood = plant.status(budget)
    assert (stood["spent"], stood["remaining"], stood["used"]) == ("95.5", "4.5", "95.5%")
    assert plant.ready(budget) == ("True", "Current")


async def test_a_correction_takes_it_back(plant: Plant, receiver: Receiver) -> None:
    """When the vendor restates a day so that the level would not have been crossed, it is retracted, not resolved."""
    _, alert = team(plant)
    plant.books.bills = {_day(2): ["60.00"], _day(1): ["35.50"]}
    plant.put()
    await plant.settle()

    plant.books.bills[_day(1)] = ["5.50"]
    plant.clock.now += timedelta(hours=7)
    await plant.settle()

    assert receiver.said() == [("firing", "90%"), ("retracted", "90%"), ("firing", "50%")]
    assert plant.status(alert)["firing"] == "50%"
    assert receiver.told[1]["startsAt"] == receiver.told[0]["startsAt"]
    assert (await plant.rows(TURNS))[-1] == ("90%", "Firing", "Retracted", "Restated")


async def test_a_new_period_starts_clean(plant: Plant, receiver: Receiver) -> None:
    """What fired for a month that is over and whole is resolved, and the new month is judged by itself."""
    _, alert = team(plant)
    plant.books.bills = {_day(1): ["95.00"]}
    plant.put(history="30d")
    await plant.settle()

    plant.clock.now += timedelta(days=14)
    await plant.settle()

    assert receiver.said() == [("firing", "90%"), ("resolved", "90%")]
    assert plant.status(alert)["state"] == "Ok"
    assert {turn[3] for turn in await plant.rows(TURNS)} == {"LimitCrossed", "PeriodEnded"}


async def test_a_changed_threshold_judges_anew(plant: Plant, receiver: Receiver) -> None:
    """A budget that is raised ends what it no longer crosses, at once and without a sync."""
    team(plant)
    plant.books.bills = {_day(1): ["95.00"]}
    plant.put()
    await plant.settle()

    budget = plant.put("ai", "Budget", amount="1000.00", currency="USD")
    await plant.settle(budget)

    assert receiver.said() == [("firing", "90%"), ("resolved", "90%")]
    assert {turn[3] for turn in await plant.rows(TURNS)} == {"LimitCrossed", "RuleChanged"}


async def test_what_cannot_be_delivered_is_tried_again_with_its_key(plant: Plant, receiver: Receiver) -> None:
    """A receiver that is down gets the message later, once, under one key; the channel says so meanwhile."""
    team(plant)
    plant.books.bills = {_day(1): ["95.00"]}
    plant.put()
    receiver.fault = Reply(503)
    await plant.settle()

    channel = Key("Channel", plant.namespace, "hook")
    assert plant.ready(channel) == ("False", "DeliveryFailing")
    receiver.fault = None
    plant.clock.now += timedelta(minutes=1)
    await plant.settle()

    assert receiver.said() == [("firing", "90%")]
    assert plant.ready(channel) == ("True", "Delivering")
    assert plant.status(channel)["delivered"] == 1
    assert plant.status(channel)["failed"] == 1


async def test_a_missing_budget_or_channel_is_named(plant: Plant, receiver: Receiver) -> None:
    """References that lead nowhere are told in words, and mend themselves when what is missing comes."""
    alert = plant.put(
        "over", "Alert", budgetRef={"name": "ai"}, on="Spend", levels=[{"percent": 50}], channels=[{"name": "hook"}]
    )
    await plant.settle()
    assert plant.ready(alert) == ("False", "BudgetNotFound")

    plant.put("ai", "Budget", amount="100.00", currency="USD")
    await plant.settle(Key("Budget", plant.namespace, "ai"))
    assert plant.ready(alert) == ("False", "ChannelNotFound")

    plant.put("hook", "Channel", type="webhook", secretRef={"name": "hook"})
    await plant.settle(Key("Channel", plant.namespace, "hook"))
    assert plant.ready(alert) == ("True", "Judged")


async def test_a_removed_alert_ends_what_it_told(plant: Plant, receiver: Receiver) -> None:
    """Deleting an Alert that fires resolves it at the receiver; its history stays."""
    _, alert = team(plant)
    plant.books.bills = {_day(1): ["95.00"]}
    plant.put()
    await plant.settle()

    plant.source.remove(alert)
    await plant.settle(alert)
    await plant.settle()

    assert receiver.said() == [("firing", "90%"), ("resolved", "90%")]
    assert len(await plant.rows(TURNS)) == 4


async def test_a_test_message_is_sent_once(plant: Plant, receiver: Receiver) -> None:
    """The annotation asks for one test message; it needs no alert."""
    channel = plant.put("hook", "Channel", type="webhook", secretRef={"name": "hook"})
    plant.annotate(channel, test_at="2026-11-21T12:00:00Z")

    for _ in range(2):
        await plant.settle()

    assert receiver.said() == [("test", "test")]
    assert plant.status(channel)["lastHandledTestAt"] == "2026-11-21T12:00:00Z"
