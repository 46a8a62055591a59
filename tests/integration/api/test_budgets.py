"""Budgets over HTTP: how they stand is what the ledger holds, to the last digit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from ledger.database import ReaderDB, WriterDB
from tests.integration.api.alerting import Team, back, team_of

BUDGETS = """
query ($filter: BudgetFilter, $first: Int! = 50, $after: String) {
  budgets(filter: $filter, first: $first, after: $after) {
    totalCount
    edges { node {
      name amount currency period metric
      scope { providers labels services subAccounts tags }
      conditions { type reason }
      standing {
        from to spent spentOnWholeDays remaining share burnRate projected exhaustedOn completeThrough providers
        otherCurrencies { amount currency }
      }
    } }
    pageInfo { hasNextPage endCursor }
  }
}
"""
HISTORY = """
query ($ns: String!, $name: String! = "ai") {
  budget(namespace: $ns, name: $name) { name standing { history { days amounts totals } } }
}
"""


@pytest.fixture
async def team(writer: WriterDB, reader: ReaderDB, namespace: str) -> AsyncIterator[Team]:
    async with team_of(writer, reader, namespace) as made:
        yield made


async def budgets(team: Team, **chosen: Any) -> list[Any]:
    page = await team.ask(BUDGETS, filter={"namespaces": [team.namespace], **chosen})
    assert page["totalCount"] == len(page["edges"])
    return [edge["node"] for edge in page["edges"]]


async def test_a_budget_shows_how_it_stands(team: Team) -> None:
    """What was spent, what is left, how fast, and where that leads, with what it says of itself."""
    await team.breach()

    [found] = await budgets(team)
    stood = found.pop("standing")
    assert found == {
        "name": "ai",
        "amount": "100",
        "currency": "USD",
        "period": "MONTHLY",
        "metric": "BILLED_COST",
        "scope": {"providers": None, "labels": {}, "services": None, "subAccounts": None, "tags": {}},
        "conditions": [{"type": "Ready", "reason": "Current"}],
    }
    # Whole through the 19th, the first day of which anything is known: 60 a day for the eleven days after it.
    assert stood == {
        "from": "2026-11-01",
        "to": "2026-12-01",
        "spent": "95.5",
        "spentOnWholeDays": "60",
        "remaining": "4.5",
        "share": "0.955",
        "burnRate": "60",
        "projected": "720",
        "exhaustedOn": "2026-11-20",
        "completeThrough": "2026-11-19",
        "providers": 1,
        "otherCurrencies": [],
    }


async def test_the_history_has_every_day_of_the_period(team: Team) -> None:
    """From the first day of the period through today, days without charges too; what each day added is in totals."""
    await team.breach()

    history = (await team.ask(HISTORY))["standing"]["history"]
    assert (history["days"][0], history["days"][-1], len(history["days"])) == ("2026-11-01", "2026-11-21", 21)
    amounts = dict(zip(history["days"], history["amounts"], strict=True))
    assert {day: amount for day, amount in amounts.items() if amount != "0"} == {
        back(2).isoformat(): "60",
        back(1).isoformat(): "35.5",
    }
    assert history["totals"][-4:] == ["0", "60", "95.5", "95.5"]
    assert await team.ask(HISTORY, name="none") is None


async def test_a_budget_that_is_wrong_says_so(team: Team) -> None:
    """A spec that was refused has no figures at all, and its condition says why."""
    await team.breach()
    team.plant.put("bad", "Budget", amount="lots", currency="USD")
    await team.plant.settle()

    [found] = await budgets(team, names=["bad"])
    assert {found[name] for name in ("amount", "currency", "period", "metric")} == {None}
    assert (found["scope"], found["standing"]) == (None, None)
    assert {"type": "Stalled", "reason": "InvalidSettings"} in found["conditions"]


async def test_budgets_come_in_pages(team: Team) -> None:
    """By namespace and name, each page behind the one before."""
    for name in ("c", "a", "b"):
        team.plant.put(name, "Budget", amount="1", currency="EUR", period="Weekly")
    await team.plant.settle()

    mine = {"namespaces": [team.namespace]}
    page = await team.ask(BUDGETS, filter=mine, first=2)
    rest = await team.ask(BUDGETS, filter=mine, first=2, after=page["pageInfo"]["endCursor"])
    assert [edge["node"]["name"] for edge in page["edges"] + rest["edges"]] == ["a", "b", "c"]
    assert (page["totalCount"], rest["pageInfo"]["hasNextPage"]) == (3, False)
    assert page["edges"][0]["node"]["standing"]["from"] == "2026-11-16"
    assert [found["name"] for found in await budgets(team, names=["b"])] == ["b"]
