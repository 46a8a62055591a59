"""Microsoft Teams, by a webhook of its Workflows, as an Adaptive Card.

Facts: https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using (the body),
.../how-to/add-incoming-webhook (28 KB a message; four requests a second, then 429) and
https://learn.microsoft.com/connectors/teams/ ("Request Entity Too Large" beyond about 28 KB). Bodies whose charset is
not named were seen to count double. The workflow answers 202 before it has posted anything; the older connectors
answer 200 with a text, which may say that the delivery failed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from reconciler.channels.base import Channel, ChannelTraits, CredentialKey, Receipt, Settings
from reconciler.channels.message import Message
from reconciler.channels.posting import hide_address, post_json
from reconciler.channels.rendering import cut, digest_lines, drivers, escape_markdown, facts, fitted, mark, subject
from reconciler.connectors.http import Taken
from reconciler.errors import Bug, NeedsPerson, RetryLater

CARD: Final = "application/vnd.microsoft.card.adaptive"
SCHEMA: Final = "http://adaptivecards.io/schemas/adaptive-card.json"
TEXT: Final = 4000
"""Units of the longest text; at three bytes each, a card stays well within 28 KB."""
VALUE: Final = 300
FAILED: Final = re.compile(r"endpoint returned HTTP error (\d{3})")


class Teams(Channel[Settings]):
    """One card in the channel or chat that the workflow posts to."""

    traits = ChannelTraits(
        type="teams",
        title="Microsoft Teams",
        credentials=(CredentialKey("url", "the URL of a workflow of the template for webhook alerts"),),
    )

    async def send(self, messages: Sequence[Message]) -> Receipt:
        url = hide_address(self.http, self.context.credentials["url"])
        taken = await post_json(self.http, self.traits.title, url, payload(messages))
        _judge(taken)
        return Receipt(id=taken.headers.get("x-ms-workflow-run-id"), text=f"accepted with {taken.status}")


def payload(messages: Sequence[Message]) -> dict[str, Any]:
    """The body: a message with one card."""
    head = {"type": "TextBlock", "size": "Medium", "weight": "Bolder", "wrap": True}
    title = head | {"text": escape_markdown(f"{mark(messages)} {subject(messages)}")}
    body = _one(messages[0]) if len(messages) == 1 else _many(messages)
    link = messages[0].link if len(messages) == 1 else None
    card = {"$schema": SCHEMA, "type": "AdaptiveCard", "version": "1.2", "body": [title, *body]}
    card |= {"actions": [{"type": "Action.OpenUrl", "title": "See more", "url": link}]} if link else {}
    attachment = {"contentType": CARD, "contentUrl": None, "content": card | {"msteams": {"width": "Full"}}}
    return {"type": "message", "attachments": [attachment]}


def _one(message: Message) -> list[dict[str, Any]]:
    parts = [_block(cut(escape_markdown(message.description), TEXT)), _facts(facts(message))]
    return [*parts, _block("Most of it"), _facts(drivers(message))] if message.drivers else parts


def _many(messages: Sequence[Message]) -> list[dict[str, Any]]:
    return [_block(fitted([f"- {line}" for line in digest_lines(messages, escape_markdown)], TEXT))]


def _block(text: str) -> dict[str, Any]:
    return {"type": "TextBlock", "text": text, "wrap": True}


def _facts(pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    shown = [{"title": cut(name, VALUE), "value": cut(escape_markdown(value), VALUE)} for name, value in pairs]
    return {"type": "FactSet", "facts": shown}


def _judge(taken: Taken) -> None:
    """Raise what an answer of success amounts to that tells of a failure, or that no workflow gives."""
    failed = FAILED.search(taken.text)
    if failed is not None:
        status = int(failed[1])
        said = f"Microsoft Teams: accepted the request, and then failed with {status}"
        if status == 429 or status >= 500:
            raise RetryLater(said, reason="RateLimited" if status == 429 else None)
        raise NeedsPerson(said, reason="MessageRefused")
    if "<html" in taken.text[:1000].lower():
        raise Bug(f"Microsoft Teams: answered {taken.status} with a web page; is the URL that of a workflow?")
