"""/metrics of budgets, alerts and messages: true figures of what really happened, in a bounded number."""

from __future__ import annotations

import asyncio
import os
import shutil
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from ledger.database import ReaderDB, WriterDB
from ledger.reads import alert_metrics as reading
from tests.integration.api.alerting import DOWN, Team, back, team_of
from tests.integration.api.test_metrics import of, scrape


@pytest.fixture
async def team(writer: WriterDB, reader: ReaderDB, namespace: str) -> AsyncIterator[Team]:
    async with team_of(writer, reader, namespace) as made:
        yield made


async def test_budgets_and_what_fires_are_told(team: Team) -> None:
    """A budget's amount, spend, share and projection are there, and each level that fires."""
    await team.breach()
    found = await scrape(team.asker, team.namespace)

    budget = {"budget": "ai", "currency": "USD"}
    assert found[of("budget_amount", **budget)] == 100
    assert found[of("budget_spent", **budget)] == 95.5
    assert found[of("budget_used_share", **budget)] == 0.955
    assert found[of("budget_projected", **budget)] == 720
    firing = {labels: value for (name, labels), value in found.items() if name == "costhook_alerts_firing"}
    assert firing == {
        of("", alert="over", severity="warning", level="90%")[1]: 1,
        of("", alert="over", severity="info", level="50%")[1]: 1,
    }

    team.plant.books.bills = {back(1): ["1.00"]}
    await team.later(hours=7)
    assert not [name for name, _ in await scrape(team.asker, team.namespace) if name == "costhook_alerts_firing"]


async def test_messages_are_counted_by_channel(team: Team) -> None:
    """What waits and for how long, then what was given up; a channel that owes nothing has zeros."""
    team.receiver.fault = DOWN
    await team.breach()
    team.plant.clock.now += timedelta(seconds=90)
    mine = {"channel": "hook"}
    names = ("notifications_waiting", "notifications_dead", "notifications_oldest_waiting_seconds")

    found = await scrape(team.asker, team.namespace)
    assert [found[of(name, **mine)] for name in names] == [1, 0, 90]
    await team.later(hours=30)
    found = await scrape(team.asker, team.namespace)
    assert [found[of(name, **mine)] for name in names] == [0, 1, 0]


async def test_a_call_budget_has_its_share(team: Team) -> None:
    """Where a call budget is declared, the part of it that today's requests are is told; elsewhere nothing is."""
    team.plant.put("vendor", callBudget={"perDay": 100})
    await team.plant.settle()
    found, mine = await scrape(team.asker, team.namespace), {"provider": "vendor"}
    assert found[of("call_budget_used_share", **mine)] == found[of("vendor_calls_today", **mine)] / 100 > 0

    team.plant.put("vendor")
    await team.plant.settle()
    assert of("call_budget_used_share", **mine) not in await scrape(team.asker, team.namespace)


async def test_the_number_of_series_is_bounded(team: Team, reader: ReaderDB, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the gravest, levels that fire are counted as `other`, and of budgets those used up most are shown."""
    monkeypatch.setattr(reading, "TOP", 1)
    levels = [{"percent": percent, "severity": "info"} for percent in (10, 20, 30)]
    await team.breach(levels=[*levels, {"percent": 90, "severity": "critical"}])
    team.plant.put("wide", "Budget", amount="100000.00", currency="USD")
    await team.plant.settle()

    async with reader.transaction([team.namespace]) as connection:
        found = await reading.alert_figures(connection, team.plant.clock.now)
    assert [(row.alert, row.severity, row.level, row.levels) for row in found.firing] == [
        ("other", "info", "other", 3),
        ("over", "critical", "90%", 1),
    ]
    assert [budget.name for budget in found.budgets] == ["ai"]


@pytest.mark.skipif(
    shutil.which("promtool") is None and "COSTHOOK_REQUIRE_PROGRAMS" not in os.environ,
    reason="promtool is missing: apt-get install prometheus",
)
async def test_prometheus_own_checker_finds_no_fault(team: Team) -> None:
    """`promtool check metrics` accepts names, help texts and format with a sample of every kind."""
    await team.breach()
    text = (await team.asker.http.get("/metrics")).text
    checked = await asyncio.create_subprocess_exec(
        "promtool", "check", "metrics", stdin=PIPE, stdout=PIPE, stderr=STDOUT
    )
    said, _ = await checked.communicate(text.encode())

    assert (checked.returncode, said.decode()) == (0, "")
