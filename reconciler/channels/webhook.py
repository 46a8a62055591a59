"""A webhook of the user's own: the message's JSON form as a CloudEvent, signed.

Facts: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md, section 3.1
(binary mode). docs/channels.md tells receivers how to check the signature; docs/channels/message.schema.json
describes the body.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from reconciler.channels.base import Channel, ChannelTraits, CredentialKey, Receipt, Settings
from reconciler.channels.message import Message
from reconciler.channels.posting import bearer, dumped, hide_address, post

SAFE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
"""What stands in a header of CloudEvents as it is."""


class Webhook(Channel[Settings]):
    """Any answer of success counts as delivered."""

    traits = ChannelTraits(
        type="webhook",
        title="Webhook",
        credentials=(
            CredentialKey("url", "where to post to, https://…"),
            CredentialKey("signingKey", "what signatures are made with; one key, or several in lines", required=False),
            CredentialKey("token", "a bearer token, where the receiver asks for one", required=False),
        ),
        honours_key=True,
    )

    async def send(self, messages: Sequence[Message]) -> Receipt:
        credentials = self.context.credentials
        url = hide_address(self.http, credentials["url"])
        body = dumped(document(messages))
        headers = envelope(messages) | {"Content-Type": "application/json"}
        keys = [key.strip() for key in (credentials.get("signingKey") or "").splitlines() if key.strip()]
        if keys:
            self.http.hide(*keys)
            headers["Costhook-Signature"] = signature(keys, self.context.now, body)
        if token := credentials.get("token"):
            headers |= bearer(self.http, token)
        taken = await post(self.http, self.traits.title, url, body, headers)
        return Receipt(text=f"answered {taken.status}")


def document(messages: Sequence[Message]) -> dict[str, Any]:
    """The body: a message as it is, several as a list."""
    if len(messages) == 1:
        return messages[0].document()
    return {"messages": [message.document() for message in messages]}


def envelope(messages: Sequence[Message]) -> dict[str, str]:
    """The headers of the CloudEvent. Its id stays the same over all attempts."""
    first = messages[0]
    alone = len(messages) == 1
    attributes = {
        "specversion": "1.0",
        "id": key_of(messages),
        "source": f"/costhook/{first.namespace}",
        "type": f"io.costhook.alert.{first.what}" if alone else "io.costhook.digest",
        "time": first.judged_at.isoformat().replace("+00:00", "Z"),
        **({"subject": f"{first.alert}/{first.on}/{first.level}"} if alone else {}),
    }
    headers = {f"ce-{name}": quote(value, safe=SAFE) for name, value in attributes.items()}
    return headers | {"Idempotency-Key": headers["ce-id"]}


def key_of(messages: Sequence[Message]) -> str:
    """What names a delivery: the message's own key, or one that several together always have."""
    if len(messages) == 1:
        return messages[0].key
    return sha256("\n".join(message.key for message in messages).encode()).hexdigest()


def signature(keys: Sequence[str], now: datetime, body: bytes) -> str:
    """`t=<Unix seconds>,v1=<hex>`: HMAC-SHA256 of "<seconds>.<body>", one v1 for each key."""
    seconds = int(now.timestamp())
    signed = f"{seconds}.".encode() + body
    made = (hmac.new(key.encode(), signed, sha256).hexdigest() for key in keys)
    return ",".join([f"t={seconds}", *(f"v1={each}" for each in made)])
