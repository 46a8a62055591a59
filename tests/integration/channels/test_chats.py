"""Slack, Discord and Teams take what they are sent, whatever it says and however much of it there is."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reconciler.channels import discord, slack, teams
from reconciler.channels.message import Driver, Message
from reconciler.channels.posting import JSON, dumped
from reconciler.connectors.scripted import Reply, Request, ScriptedServer
from reconciler.errors import Bug, NeedsPerson, RetryLater
from tests.integration.channels.receivers import SECRET, DiscordPlay, SlackPlay, TeamsPlay, plain
from tests.integration.channels.talk import deliver, refused
from tests.unit.channels.messages import FIRING, SEVERAL, message, resolved

PLAYS: dict[str, tuple[Callable[[], Any], Callable[[Sequence[Message]], Any]]] = {
    "slack": (SlackPlay, slack.payload),
    "discord": (DiscordPlay, discord.payload),
    "teams": (TeamsPlay, teams.payload),
}
HUGE = message(
    summary="≈ " * 9000,
    description="*≈*" * 9000,
    scope_text="_≈" * 9000,
    drivers=tuple(Driver("≈" * 9000, Decimal(10**30), "USD") for _ in range(3)),
)
MANY = [message(key=f"k{n}", alert=f"alert-{n}", summary=f"{n} <&_*[](x)> 🙂 " * 40) for n in range(200)]


@pytest.mark.parametrize("name", PLAYS)
@pytest.mark.parametrize("messages", [[FIRING], [resolved()], MANY], ids=["firing", "resolved", "digest of 200"])
async def test_messages_are_taken(name: str, messages: Sequence[Message]) -> None:
    """One message, its end and a large digest each arrive as one post that the receiver takes."""
    play = PLAYS[name][0]()
    async with ScriptedServer() as server:
        receipt = await deliver(name, messages, {"url": play.open(server)})

        assert len(server.requests) == 1
        assert len(play.taken) == 1
        assert receipt.id or receipt.text


@pytest.mark.parametrize("name", PLAYS)
@example(messages=[HUGE])
@example(messages=[HUGE] * 200)
@given(messages=SEVERAL)
def test_limits_hold_whatever_a_message_says(name: str, messages: Sequence[Message]) -> None:
    """No text, amount or number of messages makes a payload that the documented limits refuse."""
    make, payload = PLAYS[name]
    play = make()
    body = dumped(payload(messages))
    query = f"?wait=true&thread_id=42&sig={SECRET[-20:]}"
    reply: Reply = play._post(Request("POST", f"/{query}", {"content-type": JSON}, body))

    assert reply.status in (200, 202), reply.body


@given(st.lists(st.sampled_from(MANY), min_size=2, max_size=200))
def test_a_card_of_teams_stays_below_its_limit_by_far(messages: Sequence[Message]) -> None:
    """A digest of any length is below 28 KB even where every character counts twice."""
    assert 2 * len(dumped(teams.payload(messages))) <= 28 * 1024


def test_a_message_says_what_matters_in_each() -> None:
    """Summary, figures, drivers and link are in every payload."""
    for _, payload in PLAYS.values():
        seen = json.dumps(payload([FIRING]), ensure_ascii=False).replace("\\\\", "")
        for told in (
            FIRING.summary,
            "4,512.30 USD",
            "90.2%",
            "2026-03-31",
            "o4_mini",
            "1,512.30 USD",
            str(FIRING.link),
        ):
            assert told in seen


def test_nobody_is_mentioned_by_what_a_message_says() -> None:
    """Names that look like mentions or links stay text."""
    sly = message(
        summary="@everyone <!channel> <https://evil.example|click>", description="<@U123> [x](https://evil.example)"
    )

    body = slack.payload([sly])
    marked = json.dumps([body["text"], *body["blocks"][1:], slack.payload([sly, sly])["blocks"][1:]])

    assert body["blocks"][0]["text"]["type"] == "plain_text"
    assert "<!channel>" not in marked
    assert "<@U123>" not in marked
    assert discord.payload([sly])["allowed_mentions"] == {"parse": []}
    assert "[x](https" not in json.dumps(teams.payload([sly]))
    assert "[x](https" not in json.dumps(discord.payload([sly]))


async def test_slack_says_ok() -> None:
    """Any other word than ok, even with 200, is no delivery."""
    async with ScriptedServer() as server:
        server.fail(plain("not quite"))
        error = await refused("slack", [FIRING], {"url": f"{server.url}/services/{SECRET}"})

    assert isinstance(error, Bug)


async def test_discord_keeps_its_thread_and_names_its_message() -> None:
    """The receipt is the id of the saved message; the URL's own parameters are kept."""
    play = DiscordPlay()
    async with ScriptedServer() as server:
        receipt = await deliver("discord", [FIRING], {"url": play.open(server)})

    assert receipt.id == "1234567890"


@pytest.mark.parametrize(("status", "kind"), [(429, RetryLater), (502, RetryLater), (413, NeedsPerson)])
async def test_teams_may_fail_with_success(status: int, kind: type[Exception]) -> None:
    """The older connectors answer 200 and say in words that the delivery failed; that is believed."""
    said = (
        f"Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error {status} with Id x"
    )
    async with ScriptedServer() as server:
        server.fail(plain(said))
        error = await refused("teams", [FIRING], {"url": f"{server.url}/webhook"})

    assert isinstance(error, kind)


async def test_the_receipt_of_teams_names_the_run() -> None:
    """The id by which the workflow's history knows the run is kept."""
    play = TeamsPlay()
    async with ScriptedServer() as server:
        receipt = await deliver("teams", [FIRING], {"url": play.open(server)})

    assert receipt.id == "08585287554177334956"
