"""Slack's incoming webhooks, in Block Kit.

Facts: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks and
https://docs.slack.dev/reference/block-kit/blocks. At most 50 blocks; a header holds 150 characters, a section 3,000,
each of a section's 10 fields 2,000. The answer to a message is the text `ok`; refusals are a word, such as
`no_service` with 404 when the webhook was removed. About one message a second is taken, then 429 with Retry-After.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from reconciler.channels.base import Channel, ChannelTraits, CredentialKey, Receipt, Settings
from reconciler.channels.message import Message
from reconciler.channels.posting import hide_address, post_json
from reconciler.channels.rendering import cut, digest_lines, drivers, facts, fitted, mark, subject
from reconciler.errors import Bug

HEADER: Final = 150
SECTION: Final = 3000
FIELD: Final = 2000


class Slack(Channel[Settings]):
    """One message in the webhook's own channel."""

    traits = ChannelTraits(
        type="slack",
        title="Slack",
        credentials=(CredentialKey("url", "an incoming webhook's URL, https://hooks.slack.com/services/…"),),
    )

    async def send(self, messages: Sequence[Message]) -> Receipt:
        url = hide_address(self.http, self.context.credentials["url"])
        taken = await post_json(self.http, self.traits.title, url, payload(messages))
        if taken.text != "ok":
            raise Bug(f"Slack: answered {taken.status} and not ok, as it does to a message that it takes")
        return Receipt(text="ok")


def payload(messages: Sequence[Message]) -> dict[str, Any]:
    """The body; `text` is what notifications and screen readers show."""
    head = f"{mark(messages)} {subject(messages)}"
    blocks = [{"type": "header", "text": {"type": "plain_text", "text": cut(head, HEADER), "emoji": False}}]
    return {"text": escaped(head), "blocks": blocks + (_one(messages[0]) if len(messages) == 1 else _many(messages))}


def escaped(text: str) -> str:
    """`text` as Slack shows it literally, at the cost of what its own marks would have meant."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _one(message: Message) -> list[dict[str, Any]]:
    fields = [_text(f"*{escaped(name)}*\n{escaped(value)}", FIELD) for name, value in facts(message)]
    parts = [_section(escaped(message.description)), {"type": "section", "fields": fields[:10]}]
    if message.drivers:
        lines = [f"• {escaped(name)}: {escaped(value)}" for name, value in drivers(message)]
        parts.append(_section("\n".join(["*Most of it*", *lines])))
    if message.link:
        parts.append(_section(f"<{escaped(message.link)}|See more>"))
    return parts


def _many(messages: Sequence[Message]) -> list[dict[str, Any]]:
    return [_section(fitted([f"• {line}" for line in digest_lines(messages, escaped)], SECTION))]


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _text(text or "-", SECTION)}


def _text(text: str, most: int) -> dict[str, Any]:
    short = text if len(text) <= most and cut(text, most) == text else re.sub("&[a-z]*…$", "…", cut(text, most))
    return {"type": "mrkdwn", "text": short, "verbatim": True}
