"""Alerts, their history, messages, channels and silences over HTTP, as real syncs and judgements leave them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from ledger.database import ReaderDB, WriterDB
from tests.integration.api.alerting import DOWN, TODAY, Team, back, team_of

FIGURES = (
    "figures { currency amount limit onWholeDays projected completeThrough asOf lines limitLines failures reason }"
)
LEVEL = f"""
  level severity provider period {{ from to }} state since notifiedAt notices silencedUntil
  acknowledged {{ at by until note }} {FIGURES}
"""
ALERTS = f"""
query ($filter: AlertFilter) {{
  alerts(filter: $filter, first: 10) {{
    totalCount
    edges {{ node {{
      namespace name on budget period currency channels state conditions {{ type reason }} levels {{ {LEVEL} }}
    }} }}
  }}
}}
"""
HISTORY = """
query ($filter: AlertHistoryFilter, $first: Int! = 50, $after: String) {
  alertHistory(filter: $filter, first: $first, after: $after) {
    totalCount
    edges { node { namespace alert budget level severity periodStart before after reason at figures { amount limit } } }
    pageInfo { hasNextPage endCursor }
  }
}
"""
NOTIFICATIONS = """
query ($ns: String!, $states: [NotificationState!]) {
  notifications(filter: {namespaces: [$ns], states: $states}) {
    totalCount
    edges { node {
      id key channel alert what severity state attempts createdAt dueAt finishedAt receipt error facts
    } }
  }
}
"""
CHANNELS = """
query ($ns: String!, $names: [String!]) {
  channels(namespaces: [$ns], names: $names) {
    totalCount
    edges { node {
      name type suspended minimumSeverity delivered waiting dead lastDeliveryTime lastError conditions { type reason }
    } }
  }
}
"""


@pytest.fixture
async def team(writer: WriterDB, reader: ReaderDB, namespace: str) -> AsyncIterator[Team]:
    async with team_of(writer, reader, namespace) as made:
        yield made


def nodes(page: Any) -> list[Any]:
    """The rows of a page, which has all of them."""
    assert page["totalCount"] == len(page["edges"])
    return [edge["node"] for edge in page["edges"]]


async def alerts(team: Team, **chosen: Any) -> list[Any]:
    return nodes(await team.ask(ALERTS, filter={"namespaces": [team.namespace], **chosen}))


async def levels(team: Team) -> dict[str, Any]:
    [alert] = await alerts(team)
    return {level["level"]: level for level in alert["levels"]}


async def test_an_alert_shows_how_its_levels_stand(team: Team) -> None:
    """State, figures, period and what was told of each level are there, the gravest first."""
    await team.breach()

    [alert] = await alerts(team)
    shown = alert.pop("levels")
    assert alert == {
        "namespace": team.namespace,
        "name": "over",
        "on": "SPEND",
        "budget": "ai",
        "period": "MONTHLY",
        "currency": "USD",
        "channels": ["hook"],
        "state": "FIRING",
        "conditions": [{"type": "Ready", "reason": "Judged"}],
    }
    assert [(level["level"], level["state"], level["notices"]) for level in shown] == [
        ("90%", "FIRING", 1),
        ("50%", "FIRING", 0),
        ("100%", "OK", 0),
    ]
    assert shown[0] == {
        "level": "90%",
        "severity": "WARNING",
        "provider": None,
        "period": {"from": "2026-11-01", "to": "2026-12-01"},
        "state": "FIRING",
        "since": "2026-11-21T12:00:00Z",
        "notifiedAt": "2026-11-21T12:00:00Z",
        "notices": 1,
        "silencedUntil": None,
        "acknowledged": None,
        "figures": {
            "currency": "USD",
            "amount": "95.5",
            "limit": "90",
            "onWholeDays": shown[0]["figures"]["onWholeDays"],
            "projected": None,
            "completeThrough": shown[0]["figures"]["completeThrough"],
            "asOf": TODAY.isoformat(),
            "lines": None,
            "limitLines": None,
            "failures": None,
            "reason": None,
        },
    }


async def test_alerts_on_providers_say_which(team: Team) -> None:
    """An alert that looks at each provider has a level for each, and counts where others have amounts."""
    await team.breach()
    team.plant.put("prices", "Alert", on="UnpricedLines", levels=[{"count": 1}])
    await team.plant.settle()

    [alert] = await alerts(team, on=["UNPRICED_LINES"])
    [level] = alert["levels"]
    assert (level["level"], level["provider"], level["period"], level["state"]) == ("1", "vendor", None, "OK")
    assert (level["figures"]["lines"], level["figures"]["limitLines"], level["figures"]["limit"]) == (0, 1, None)


async def test_an_alert_that_is_not_judged_says_why(team: Team) -> None:
    """Without its budget an alert has no levels; its condition names what is missing."""
    team.plant.put("over", "Alert", budgetRef={"name": "none"}, on="Spend", levels=[{"percent": 50}])
    await team.plant.settle()

    [alert] = await alerts(team)
    assert (alert["state"], alert["levels"], alert["on"], alert["budget"]) == (None, [], "SPEND", "none")
    assert {"type": "Ready", "reason": "BudgetNotFound"} in alert["conditions"]


async def test_alerts_are_filtered(team: Team) -> None:
    """Each field of the filter chooses; states and severities ask for one level that has both."""
    await team.breach()
    team.plant.put("late", "Alert", on="MissingData", levels=[{"after": "1d", "severity": "critical"}])
    await team.plant.settle()
    for chosen, names in (
        ({}, ["late", "over"]),
        ({"names": ["late"]}, ["late"]),
        ({"budgets": ["ai"]}, ["over"]),
        ({"on": ["MISSING_DATA", "SPEND"]}, ["late", "over"]),
        ({"on": ["FORECAST"]}, []),
        ({"states": ["FIRING"]}, ["over"]),
        ({"states": ["OK"], "severities": ["CRITICAL"]}, ["late", "over"]),
        ({"states": ["FIRING"], "severities": ["CRITICAL"]}, []),
        ({"names": []}, []),
    ):
        assert [alert["name"] for alert in await alerts(team, **chosen)] == names, chosen


async def test_the_history_has_every_turn(team: Team) -> None:
    """Newest first, page by page, by alert, day and state, with the figures each was judged on."""
    await team.breach()
    team.plant.books.bills[back(1)] = ["5.50"]
    await team.later(hours=7)

    mine: dict[str, Any] = {"namespaces": [team.namespace]}
    found = nodes(await team.ask(HISTORY, filter=mine))
    assert [(turn["level"], turn["before"], turn["after"], turn["reason"]) for turn in found] == [
        ("90%", "FIRING", "RETRACTED", "Restated"),
        ("90%", "OK", "FIRING", "LimitCrossed"),
        ("50%", "OK", "FIRING", "LimitCrossed"),
    ]
    assert found[1]["figures"] == {"amount": "95.5", "limit": "90"}
    assert (found[1]["alert"], found[1]["budget"], found[1]["periodStart"]) == ("over", "ai", "2026-11-01")

    page = await team.ask(HISTORY, filter=mine, first=2)
    assert page["pageInfo"]["hasNextPage"]
    rest = await team.ask(HISTORY, filter=mine, first=2, after=page["pageInfo"]["endCursor"])
    assert [edge["node"] for edge in page["edges"] + rest["edges"]] == found
    for chosen, count in (
        ({"alerts": ["over"]}, 3),
        ({"alerts": ["other"]}, 0),
        ({"states": ["RETRACTED"]}, 1),
        ({"period": {"from": "2026-11-21", "to": "2026-11-22"}}, 3),
        ({"period": {"from": "2026-11-20", "to": "2026-11-21"}}, 0),
    ):
        assert len(nodes(await team.ask(HISTORY, filter={**mine, **chosen}))) == count, chosen


async def test_messages_show_how_they_fare(team: Team) -> None:
    """A message has its key, its attempts and the receipt, or what was wrong and when it is tried next."""
    team.receiver.fault = DOWN
    await team.breach()

    [waiting] = nodes(await team.ask(NOTIFICATIONS))
    assert (waiting["channel"], waiting["alert"], waiting["what"], waiting["severity"]) == (
        "hook",
        "over",
        "FIRING",
        "WARNING",
    )
    assert (waiting["state"], waiting["attempts"], waiting["finishedAt"]) == ("WAITING", 1, None)
    assert waiting["dueAt"] > "2026-11-21T12:00:00Z"
    assert "503" in waiting["error"]
    assert waiting["facts"]["figures"]["amount"] == "95.5"
    [channel] = nodes(await team.ask(CHANNELS))
    assert (channel["waiting"], channel["delivered"], channel["lastError"]) == (1, 0, waiting["error"])

    team.receiver.fault = None
    await team.later(minutes=1)
    [delivered] = nodes(await team.ask(NOTIFICATIONS, states=["DELIVERED"]))
    assert (delivered["id"], delivered["key"]) == (waiting["id"], waiting["key"])
    assert delivered["key"] in team.receiver.keys[-1]
    assert (delivered["attempts"], delivered["dueAt"], delivered["error"]) == (2, None, None)
    assert delivered["receipt"]
    assert delivered["finishedAt"] == "2026-11-21T12:01:00Z"
    [channel] = nodes(await team.ask(CHANNELS, names=["hook"]))
    assert channel == {
        "name": "hook",
        "type": "webhook",
        "suspended": False,
        "minimumSeverity": "info",
        "delivered": 1,
        "waiting": 0,
        "dead": 0,
        "lastDeliveryTime": "2026-11-21T12:01:00Z",
        "lastError": None,
        "conditions": [{"type": "Ready", "reason": "Delivering"}],
    }
