"""Doing something about alerts over HTTP: what the reconciler then does, and what the audit log says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from ledger import audit
from ledger.database import ReaderDB, WriterDB
from ledger.requests import anyone_reconciles
from reconciler.alerting.judge import POLL
from tests.integration.api.alerting import DOWN, Team, back, team_of
from tests.integration.api.test_alerts import NOTIFICATIONS, levels, nodes
from tests.integration.reconciler.conftest import START

ACKNOWLEDGE = """
mutation ($ns: String!, $name: String! = "over", $level: String, $until: DateTime, $note: String) {
  acknowledgeAlert(namespace: $ns, name: $name, level: $level, until: $until, note: $note) {
    __typename
    ... on AlertAcknowledged { changed alert { name levels { level acknowledged { at by until note } } } }
    ... on Problem { code message field }
  }
}
"""
UNACKNOWLEDGE = """
mutation ($ns: String!, $name: String! = "over", $level: String) {
  unacknowledgeAlert(namespace: $ns, name: $name, level: $level) {
    __typename
    ... on AlertUnacknowledged { changed alert { levels { acknowledged { by } } } }
    ... on Problem { code field }
  }
}
"""
SILENCE = """
mutation ($ns: String!, $alert: String, $budget: String, $severity: Severity, $until: DateTime!, $why: String! = "?") {
  silence(
    scope: {namespace: $ns, alert: $alert, budget: $budget, severity: $severity}, until: $until, reason: $why
  ) {
    __typename
    ... on Silenced { silence { id alert budget severity startsAt endsAt active reason createdBy endedBy } }
    ... on Problem { code field }
  }
}
"""
END_SILENCE = """
mutation ($id: ID!) {
  endSilence(id: $id) {
    __typename ... on SilenceEnded { silence { active endsAt endedBy } } ... on Problem { code field }
  }
}
"""
SILENCES = """
query ($ns: String!, $active: Boolean) {
  silences(namespaces: [$ns], active: $active) { totalCount edges { node { alert active } } }
}
"""
TEST = """
mutation ($ns: String!, $name: String! = "hook") {
  testChannel(namespace: $ns, name: $name) {
    __typename ... on TestRequested { notification { id state what alert } } ... on Problem { code field }
  }
}
"""
RETRY = """
mutation ($id: ID!) {
  retryNotification(id: $id) {
    __typename ... on NotificationRetried { notification { state dueAt finishedAt } } ... on Problem { code field }
  }
}
"""


@pytest.fixture
async def team(writer: WriterDB, reader: ReaderDB, namespace: str) -> AsyncIterator[Team]:
    async with team_of(writer, reader, namespace) as made:
        yield made


async def entries(team: Team) -> list[audit.Entry]:
    """What the audit log says of the team, oldest first."""
    found = await audit.latest(team.plant.db, 200)
    return [entry for entry in reversed(found) if entry.namespace == team.namespace]


async def test_what_is_acknowledged_is_not_told_again(team: Team) -> None:
    """Acknowledged levels are not told again until then; the audit log has who, what, before and after."""
    await team.breach(renotifyAfter="24h")
    until = START + timedelta(days=3)
    await team.ask(ACKNOWLEDGE, level="90%", until=until.isoformat(), note="mine")
    answer = await team.ask(ACKNOWLEDGE, level="90%", until=until.isoformat(), note="still mine")
    assert (answer["__typename"], answer["changed"]) == ("AlertAcknowledged", 1)
    marks = {level["level"]: level["acknowledged"] for level in answer["alert"]["levels"]}
    mark = {"at": "2026-11-21T12:00:00Z", "by": "local", "until": "2026-11-24T12:00:00Z", "note": "still mine"}
    assert marks == {"90%": mark, "50%": None, "100%": None}

    await team.later(days=2)
    assert team.receiver.said() == [("firing", "90%")]
    await team.later(days=2)
    assert team.receiver.said() == [("firing", "90%")] * 2
    assert (await levels(team))["90%"]["acknowledged"] is None

    [first, second] = await entries(team)
    assert (first.action, first.subject, first.actor) == ("acknowledgeAlert", "over", "local")
    level = {"level": "90%", "provider": None, "period": "2026-11-01"}
    held = {"by": "local", "until": until.isoformat()}
    assert first.detail == {"levels": [{**level, "before": None, "after": {**held, "note": "mine"}}]}
    after = {**held, "note": "still mine"}
    assert second.detail == {"levels": [{**level, "before": {**held, "note": "mine"}, "after": after}]}


async def test_what_is_let_go_of_is_told_again_at_once(team: Team) -> None:
    """Taking an acknowledgement back has the alert judged now, not at the time it would have run out."""
    await team.breach(renotifyAfter="24h")
    await team.ask(ACKNOWLEDGE)
    await team.later(days=2)
    assert team.receiver.said() == [("firing", "90%")]

    answer = await team.ask(UNACKNOWLEDGE)
    assert (answer["changed"], {level["acknowledged"] for level in answer["alert"]["levels"]}) == (2, {None})
    await team.judged()
    assert team.receiver.said() == [("firing", "90%")] * 2
    assert (await entries(team))[-1].detail["levels"][0]["after"] is None


async def test_a_silence_keeps_quiet_and_ends(team: Team) -> None:
    """Alerts under a silence are judged, shown as silenced and not told; when it is ended they are told at once."""
    await team.breach(bills={back(1): ["1.00"]})
    until = (START + timedelta(days=5)).isoformat()
    made = (await team.ask(SILENCE, alert="over", until=until, why="we know"))["silence"]
    assert made == {
        "id": made["id"],
        "alert": "over",
        "budget": None,
        "severity": None,
        "startsAt": "2026-11-21T12:00:00Z",
        "endsAt": "2026-11-26T12:00:00Z",
        "active": True,
        "reason": "we know",
        "createdBy": "local",
        "endedBy": None,
    }
    team.plant.books.bills[back(1)] = ["95.50"]
    await team.later(hours=7)
    shown = (await levels(team))["90%"]
    assert (shown["state"], shown["notifiedAt"], shown["silencedUntil"]) == ("FIRING", None, "2026-11-26T12:00:00Z")
    assert team.receiver.told == []

    ended = (await team.ask(END_SILENCE, id=made["id"]))["silence"]
    assert ended == {"active": False, "endsAt": "2026-11-21T19:00:00Z", "endedBy": "local"}
    await team.judged()
    assert team.receiver.said() == [("firing", "90%")]
    assert (await team.ask(END_SILENCE, id=made["id"]))["code"] == "ENDED"
    assert nodes(await team.ask(SILENCES, active=True)) == []
    assert nodes(await team.ask(SILENCES, active=False)) == [{"alert": "over", "active": False}]
    assert nodes(await team.ask(SILENCES, active=None)) == [{"alert": "over", "active": False}]

    begun, over = await entries(team)
    assert (begun.action, begun.detail["before"], begun.detail["after"]["reason"]) == ("silence", None, "we know")
    assert over.detail["before"]["until"] == until
    assert over.detail["after"]["until"] == (START + timedelta(hours=7)).isoformat()


async def test_what_a_silence_held_back_is_told_when_it_runs_out(team: Team) -> None:
    """A level that was to be told again while silent is told at the end of the silence, not at the next midnight."""
    await team.breach(renotifyAfter="24h", levels=[{"percent": 90}])
    await team.ask(SILENCE, until=(START + timedelta(hours=30)).isoformat())
    await team.later(hours=26)
    assert team.receiver.said() == [("firing", "90%")]

    team.plant.clock.now = START + timedelta(hours=30)
    await team.judged()
    assert team.receiver.said() == [("firing", "90%")] * 2


async def test_silences_cover_what_their_scope_says(team: Team) -> None:
    """A silence of a severity or of a budget covers those levels alone, and says until when."""
    await team.breach()
    until = (START + timedelta(days=1)).isoformat()
    await team.ask(SILENCE, severity="INFO", until=until)
    silent = {name: level["silencedUntil"] is not None for name, level in (await levels(team)).items()}
    assert silent == {"50%": True, "90%": False, "100%": False}

    await team.ask(SILENCE, budget="ai", until=until)
    assert all(level["silencedUntil"] for level in (await levels(team)).values())


async def test_a_test_message_is_asked_for_and_its_receipt_found(team: Team) -> None:
    """testChannel leaves a message that the reconciler sends, and notification(id) tells how it went."""
    await team.breach(bills={back(1): ["1.00"]})
    asked = (await team.ask(TEST))["notification"]
    assert (asked["state"], asked["what"], asked["alert"]) == ("WAITING", "TEST", None)

    await team.plant.settle()
    one = "query ($id: ID!) { notification(id: $id) { state receipt channel } }"
    found = (await team.asker.ask(one, id=asked["id"]))["notification"]
    assert (found["state"], found["channel"]) == ("DELIVERED", "hook")
    assert team.receiver.said() == [("test", "test")]
    assert (await entries(team))[-1].action == "testChannel"
    assert (await team.asker.ask(one, id="nonsense"))["notification"] is None


async def test_what_was_given_up_is_tried_again(team: Team) -> None:
    """A dead message waits again and is tried at once, with the key it had; one that was delivered is left alone."""
    team.receiver.fault = DOWN
    await team.breach()
    await team.later(hours=30)
    [dead] = nodes(await team.ask(NOTIFICATIONS, states=["DEAD"]))

    team.receiver.fault = None
    again = (await team.ask(RETRY, id=dead["id"]))["notification"]
    assert again == {"state": "WAITING", "dueAt": "2026-11-22T18:00:00Z", "finishedAt": None}
    await team.judged()
    assert team.receiver.said() == [("firing", "90%")]
    assert dead["key"] in team.receiver.keys[0]
    assert (await team.ask(RETRY, id=dead["id"]))["code"] == "NOT_DEAD"
    entry = (await entries(team))[-1]
    assert (entry.action, entry.subject, entry.detail["before"]["state"]) == ("retryNotification", "hook", "Dead")
    assert entry.detail["after"] == {"state": "Waiting", "error": None}


async def test_a_running_reconciler_hears_of_it_at_once(team: Team, reader: ReaderDB) -> None:
    """What is asked through the API is done by a reconciler that runs, long before it would look by itself."""
    await team.breach(bills={back(1): ["1.00"]})
    async with team.plant.running() as engine, asyncio.timeout(POLL.total_seconds() / 2):
        while not await anyone_reconciles(reader):
            await asyncio.sleep(0.02)
        await engine.queue.idle()
        await team.ask(TEST)
        await team.plant.until("select state from notification where namespace = :ns", [("Delivered",)])


async def test_problems_are_typed(team: Team) -> None:
    """What is not there, does not fire, is over or says no reason is answered so, and nothing is done."""
    await team.breach(bills={back(1): ["1.00"]})
    until = (START + timedelta(days=1)).isoformat()
    for query, variables, code in (
        (ACKNOWLEDGE, {}, "NOT_FIRING"),
        (ACKNOWLEDGE, {"name": "none"}, "NOT_FOUND"),
        (UNACKNOWLEDGE, {}, "NOT_ACKNOWLEDGED"),
        (UNACKNOWLEDGE, {"name": "none"}, "NOT_FOUND"),
        (SILENCE, {"alert": "none", "until": until}, "NOT_FOUND"),
        (SILENCE, {"budget": "none", "until": until}, "NOT_FOUND"),
        (END_SILENCE, {"id": "none"}, "NOT_FOUND"),
        (TEST, {"name": "none"}, "NOT_FOUND"),
        (RETRY, {"id": "none"}, "NOT_FOUND"),
    ):
        assert (await team.ask(query, **variables))["code"] == code, query
    for query, variables, field in (
        (ACKNOWLEDGE, {"until": START.isoformat()}, "until"),
        (ACKNOWLEDGE, {"note": "x" * 1001}, "note"),
        (SILENCE, {"until": START.isoformat()}, "until"),
        (SILENCE, {"until": until, "why": " "}, "reason"),
        (SILENCE, {"until": until, "alert": "\0"}, "alert"),
        (TEST, {"name": "\ud800"}, "name"),
    ):
        refused = await team.asker.refused(query, ns=team.namespace, **variables)
        assert (refused["code"], refused["field"]) == ("BAD_INPUT", field), query
    assert await entries(team) == []
