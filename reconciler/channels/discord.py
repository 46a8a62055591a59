"""Discord's webhooks, as embeds.

Facts: https://docs.discord.com/developers/resources/webhook#execute-webhook and .../resources/message#embed-limits. A
title holds 256 characters, a description 4,096, a field's name 256 and value 1,024; all embeds of a message together
6,000. With wait=true a message that is not saved is an error, and the answer is the message. Nobody is mentioned,
whatever the texts hold: `allowed_mentions` says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from reconciler.channels.base import Channel, ChannelTraits, CredentialKey, Receipt, Settings
from reconciler.channels.message import Message
from reconciler.channels.posting import hide_address, post_json
from reconciler.channels.rendering import cut, digest_lines, drivers, escape_markdown, facts, fitted, mark, subject
from reconciler.errors import Bug

TITLE: Final = 256
DESCRIPTION: Final = 2500
"""Less than Discord allows, so that the embed as a whole keeps within 6,000."""
VALUE: Final = 300
COLOURS: Final = {"🔴": 0xE01E5A, "🟠": 0xECB22E, "🔵": 0x36C5F0, "🟢": 0x2EB67D}
GREY: Final = 0x95A5A6


class Discord(Channel[Settings]):
    """One message in the webhook's own channel, or in the thread that the URL's thread_id names."""

    traits = ChannelTraits(
        type="discord",
        title="Discord",
        credentials=(CredentialKey("url", "a webhook's URL, https://discord.com/api/webhooks/…"),),
    )

    async def send(self, messages: Sequence[Message]) -> Receipt:
        url = waiting(hide_address(self.http, self.context.credentials["url"]))
        taken = (await post_json(self.http, self.traits.title, url, payload(messages))).json()
        if not isinstance(taken, Mapping) or not isinstance(taken.get("id"), str):
            raise Bug("Discord: its answer is not the message that it should have saved")
        return Receipt(id=taken["id"])


def waiting(url: str) -> str:
    """`url` with wait=true, whatever else its query says."""
    parts = urlsplit(url)
    query = [pair for pair in parse_qsl(parts.query) if pair[0] != "wait"]
    return parts._replace(query=urlencode([*query, ("wait", "true")])).geturl()


def payload(messages: Sequence[Message]) -> dict[str, Any]:
    """The body: one embed."""
    sign = mark(messages)
    embed = {"title": cut(f"{sign} {subject(messages)}", TITLE), "color": COLOURS.get(sign, GREY)}
    told = _one(messages[0]) if len(messages) == 1 else _many(messages)
    return {"embeds": [embed | told], "allowed_mentions": {"parse": []}}


def _one(message: Message) -> dict[str, Any]:
    fields = [_field(name, value, short=True) for name, value in facts(message)]
    if message.drivers:
        lines = [f"{name}: {value}" for name, value in drivers(message)]
        fields.append(_field("Most of it", "\n".join(cut(line, 90) for line in lines), short=False))
    told: dict[str, Any] = {
        "description": cut(escape_markdown(message.description), DESCRIPTION),
        "fields": fields,
        "timestamp": message.judged_at.isoformat(),
    }
    return told | ({"url": message.link} if message.link else {})


def _many(messages: Sequence[Message]) -> dict[str, Any]:
    return {"description": fitted([f"- {line}" for line in digest_lines(messages, escape_markdown)], 4096)}


def _field(name: str, value: str, *, short: bool) -> dict[str, Any]:
    return {"name": name, "value": cut(escape_markdown(value), VALUE), "inline": short}
