"""The webhook: a CloudEvent whose body the schema describes, signed so that the receiver can tell who sent it."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import unquote

import jsonschema
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from reconciler.channels.message import Message
from reconciler.connectors.scripted import Request, ScriptedServer
from tests.integration.channels.receivers import HookPlay
from tests.integration.channels.talk import deliver
from tests.unit.channels.messages import FIRING, NOW, message, resolved

SCHEMA = json.loads((Path(__file__).parents[3] / "docs/channels/message.schema.json").read_text())


async def posted(*messages: Message, **secret: str) -> Request:
    """What the receiver got."""
    play = HookPlay()
    async with ScriptedServer() as server:
        await deliver("webhook", messages, {"url": play.open(server), **secret})
    (request,) = play.taken
    return request


def openssl(key: str, signed: bytes) -> str:
    """HMAC-SHA256 as OpenSSL makes it, in hex."""
    made = HMAC(key.encode(), SHA256())
    made.update(signed)
    return made.finalize().hex()


async def test_the_body_is_the_message() -> None:
    """The body is the message's JSON form, to the last digit, and fits the published schema."""
    request = await posted(FIRING)
    body = json.loads(request.body)

    jsonschema.Draft202012Validator(SCHEMA).validate(body)
    assert Message.from_json(body) == FIRING
    assert request.headers["content-type"] == "application/json"


async def test_it_is_a_cloudevent() -> None:
    """The required attributes are in headers of the binary mode, encoded as its specification says."""
    headers = (await posted(FIRING)).headers

    assert headers["ce-specversion"] == "1.0"
    assert headers["ce-id"] == headers["idempotency-key"] == FIRING.key
    assert headers["ce-source"] == "/costhook/team-a"
    assert headers["ce-type"] == "io.costhook.alert.firing"
    assert headers["ce-time"] == "2026-03-20T12:00:00Z"
    assert headers["ce-subject"] == "ai-budget/Spend/90%25"
    assert unquote(headers["ce-subject"]) == "ai-budget/Spend/90%"


async def test_the_signature_is_hmac_over_time_and_body() -> None:
    """Another implementation of HMAC, given the key, the time and the body, comes to the same signature."""
    request = await posted(FIRING, signingKey="s3cret-signing-key")
    time, signature = request.headers["costhook-signature"].split(",")

    assert time == f"t={int(NOW.timestamp())}"
    assert signature == "v1=" + openssl("s3cret-signing-key", time[2:].encode() + b"." + request.body)
    assert signature != "v1=" + openssl("s3cret-signing-key", time[2:].encode() + b"." + request.body + b" ")


async def test_keys_can_be_changed_without_a_gap() -> None:
    """With two keys in the Secret there is a signature of each, so that receivers may know either."""
    request = await posted(FIRING, signingKey="old-key-1\nnew-key-2\n")
    time, *signatures = request.headers["costhook-signature"].split(",")
    signed = time[2:].encode() + b"." + request.body

    assert signatures == ["v1=" + openssl("old-key-1", signed), "v1=" + openssl("new-key-2", signed)]


async def test_without_a_key_nothing_is_signed() -> None:
    """A receiver that asks for no signature gets none; a bearer token is sent where there is one."""
    bare = await posted(FIRING)
    trusted = await posted(FIRING, token="t0ken-0123")

    assert "costhook-signature" not in bare.headers
    assert "authorization" not in bare.headers
    assert trusted.headers["authorization"] == "Bearer t0ken-0123"


async def test_every_attempt_has_the_same_id() -> None:
    """A message that is sent again, later, can be told from a new one; another message has another id."""
    again = [(await posted(FIRING)).headers["ce-id"], (await posted(FIRING)).headers["ce-id"]]

    assert again == [FIRING.key, FIRING.key]
    assert (await posted(resolved())).headers["ce-id"] != FIRING.key


async def test_a_digest_is_a_list_with_an_id_of_its_own() -> None:
    """Several messages are one event, whose id is the same for the same messages and no other's."""
    first, again = await posted(FIRING, resolved()), await posted(FIRING, resolved())
    other = await posted(FIRING, message(key="another"))
    told = [Message.from_json(each) for each in json.loads(first.body)["messages"]]

    assert told == [FIRING, resolved()]
    assert first.headers["ce-type"] == "io.costhook.digest"
    assert first.headers["ce-id"] == again.headers["ce-id"] != other.headers["ce-id"]
