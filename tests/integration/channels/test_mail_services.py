"""Resend, SendGrid and Mailgun take the mail in the form that each documents."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.channels.email import EmailSettings, server_of
from reconciler.channels.message import Message
from reconciler.connectors.scripted import Reply, ScriptedServer
from reconciler.errors import RetryLater
from tests.integration.channels.receivers import MailgunPlay, ResendPlay, SendGridPlay
from tests.integration.channels.talk import deliver, refused
from tests.unit.channels.messages import FIRING, message, resolved

KEY = "re_0123456789abcdef"
ENVELOPE = {"from": "Costhook <costs@example.com>", "to": ["ops@example.com", "Ann <ann@example.com>"]}


def block(server: ScriptedServer, via: str) -> dict[str, Any]:
    return {**ENVELOPE, "via": via, "baseURL": server.url, "mailgun": {"domain": "mg.example.com"}}


async def send(server: ScriptedServer, via: str, *messages: Message) -> str | None:
    """The receipt's id."""
    return (await deliver("email", messages, {"apiKey": KEY}, block(server, via))).id


async def test_resend_sends_one_mail_however_often_it_is_asked() -> None:
    """The idempotency key of a repeated delivery is the same, so is the mail, and one mail is sent."""
    play = ResendPlay(KEY)
    async with ScriptedServer() as server:
        play.open(server)
        assert await send(server, "resend", FIRING) == "mail-0"
        assert await send(server, "resend", FIRING) == "mail-0"
        assert await send(server, "resend", resolved()) == "mail-1"
        assert await send(server, "resend", FIRING, resolved()) == "mail-2"
        assert await send(server, "resend", FIRING, resolved()) == "mail-2"

    mail = next(iter(play.sent.values()))
    assert (mail["from"], mail["to"]) == (ENVELOPE["from"], ENVELOPE["to"])
    assert mail["subject"] == "Firing: ai has spent 90.2% of its budget"
    assert "4,512.30 USD" in mail["text"]
    assert "4,512.30 USD" in mail["html"]


async def test_a_long_key_is_sent_as_one_that_fits() -> None:
    """Resend takes keys of 256 characters at most; longer ones stay apart all the same."""
    play = ResendPlay(KEY)
    async with ScriptedServer() as server:
        play.open(server)

        assert await send(server, "resend", message(key="k" * 300)) == "mail-0"
        assert await send(server, "resend", message(key="k" * 300 + "x")) == "mail-1"


async def test_an_attempt_that_has_not_ended_is_waited_for() -> None:
    """Resend refuses a key while an earlier attempt with it goes on; that is for later, and no person's matter."""
    busy = {"statusCode": 409, "name": "concurrent_idempotent_requests", "message": "in progress"}
    async with ScriptedServer() as server:
        server.fail(Reply.json(busy, 409))
        error = await refused("email", [FIRING], {"apiKey": KEY}, block(server, "resend"))

    assert isinstance(error, RetryLater)


async def test_sendgrid_is_told_addresses_apart_from_names() -> None:
    """Every address is told once, with its name; the receipt is the id that SendGrid gives."""
    play = SendGridPlay(KEY)
    async with ScriptedServer() as server:
        play.open(server)
        assert await send(server, "sendgrid", FIRING) == "14c5d75ce93.dfd.64b469"

    (mail,) = play.sent
    assert mail["from"] == {"email": "costs@example.com", "name": "Costhook"}
    assert mail["personalizations"] == [
        {"to": [{"email": "ops@example.com"}, {"email": "ann@example.com", "name": "Ann"}]}
    ]


async def test_mailgun_takes_a_form() -> None:
    """Every field of the form arrives, letters outside ASCII too."""
    play = MailgunPlay(KEY)
    async with ScriptedServer() as server:
        play.open(server)
        assert await send(server, "mailgun", message(summary="10 € übrig & mehr")) == "<20260320.1@mg.example.com>"

    (form,) = play.sent
    assert form["to"] == ENVELOPE["to"]
    assert form["subject"] == ["Firing: 10 € übrig & mehr"]


@pytest.mark.parametrize("via", ["resend", "sendgrid", "mailgun"])
async def test_a_wrong_key_needs_a_person(via: str) -> None:
    """A key that the service does not know says so, and is not shown."""
    async with ScriptedServer() as server:
        for play in (ResendPlay(KEY), SendGridPlay(KEY), MailgunPlay(KEY)):
            play.open(server)
        error = await refused("email", [FIRING], {"apiKey": "wrong-0123456789"}, block(server, via))

    assert error.reason == "Unauthorized"
    assert "wrong-0123456789" not in str(error)


def test_ses_is_its_region_s_mail_server() -> None:
    """SES is reached at the SMTP endpoint of its region, encrypted."""
    settings = EmailSettings.model_validate({**ENVELOPE, "via": "ses", "ses": {"region": "eu-central-1"}})

    assert str(server_of(settings)) == "email-smtp.eu-central-1.amazonaws.com:587"
    assert server_of(settings).encryption == "StartTLS"
