"""Mail over SMTP, against a real server: encrypted or not at all, one mail however often, faults told apart."""

from __future__ import annotations

import asyncio
import traceback
from pathlib import Path
from typing import Any

import pytest

from reconciler.channels import smtp
from reconciler.channels.base import Receipt
from reconciler.channels.message import Message
from reconciler.connectors.http import EgressPolicy
from reconciler.errors import NeedsPerson, ReconcilerError, RetryLater
from tests.integration.channels.mailserver import MailServer, mail_server
from tests.integration.channels.talk import deliver, refused
from tests.integration.connectors.certificates import Certificates
from tests.unit.channels.messages import FIRING, message, resolved

PASSWORD = "p4ssw0rd-0123456789"
LOGIN = {"username": "costs", "password": PASSWORD}
USERS = {"costs": PASSWORD}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder: Path = tmp_path_factory.mktemp("certificates")
    return Certificates(folder)


def block(port: int, encryption: str = "StartTLS", host: str = "127.0.0.1") -> dict[str, Any]:
    return {
        "from": "Costhook <costs@example.com>",
        "to": ["ops@example.com", "Ann <ann@example.com>"],
        "smtp": {"host": host, "port": port, "encryption": encryption},
    }


async def send(server: MailServer, certificates: Certificates, *messages: Message, **secret: str) -> Receipt:
    return await deliver("email", messages, secret, block(server.port), tls=certificates.trust)


async def error_of(server: MailServer, certificates: Certificates, **secret: str) -> ReconcilerError:
    return await refused("email", [FIRING], secret, block(server.port), tls=certificates.trust)


async def test_a_mail_arrives_over_starttls(certificates: Certificates) -> None:
    """Logged in and encrypted, the mail arrives whole: sender, recipients, subject, text and HTML."""
    async with mail_server(certificates.server("127.0.0.1"), users=USERS) as server:
        receipt = await send(server, certificates, FIRING, **LOGIN)

    (mail,), (session,), (envelope,) = server.mails, server.sessions, server.envelopes
    assert session.ssl is not None
    assert session.authenticated
    assert (envelope.mail_from, envelope.rcpt_tos) == ("costs@example.com", ["ops@example.com", "ann@example.com"])
    assert mail["Subject"] == "Firing: ai has spent 90.2% of its budget"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Message-ID"] == receipt.id
    text, html = (mail.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None
    assert html is not None
    assert "Amount: 4,512.30 USD" in text.get_content()
    assert "4,512.30 USD" in html.get_content()


async def test_a_mail_arrives_over_tls_from_the_start(certificates: Certificates) -> None:
    """A server that speaks TLS from the first byte (port 465) is talked to that way."""
    async with mail_server(certificates.server("127.0.0.1"), wrapped=True) as server:
        await deliver("email", [FIRING], {}, block(server.port, "TLS"), tls=certificates.trust)

    assert len(server.mails) == 1


async def test_a_repeated_mail_is_the_same_mail(certificates: Certificates) -> None:
    """Every attempt has the same Message-ID and date, and another message has others."""
    async with mail_server(certificates.server("127.0.0.1")) as server:
        for each in (FIRING, FIRING, resolved()):
            await send(server, certificates, each)

    first, again, other = (mail["Message-ID"] for mail in server.mails)
    assert first == again != other
    assert server.mails[0].as_string().split("boundary")[0] == server.mails[1].as_string().split("boundary")[0]


async def test_no_header_can_be_smuggled_in(certificates: Certificates) -> None:
    """Line breaks in a summary stay in the subject's line; letters of any script arrive."""
    sly = message(summary="10 € übrig\r\nBcc: evil@example.com\n\n.\r\nMAIL FROM:<x>", description="a\r\n.\r\nb 🙂")
    async with mail_server(certificates.server("127.0.0.1")) as server:
        await send(server, certificates, sly)

    (mail,) = server.mails
    assert mail["Bcc"] is None
    assert mail["Subject"] == "Firing: 10 € übrig Bcc: evil@example.com . MAIL FROM:<x>"
    assert len(server.envelopes[0].rcpt_tos) == 2


async def test_nothing_is_sent_in_the_clear(certificates: Certificates) -> None:
    """A server that offers no encryption gets neither password nor mail."""
    async with mail_server(None) as server:
        error = await error_of(server, certificates, **LOGIN)

    assert isinstance(error, NeedsPerson)
    assert error.reason == "NoEncryption"
    assert not server.mails


async def test_in_the_clear_takes_an_administrator() -> None:
    """encryption: None works where the host is allowed, and nowhere else."""
    async with mail_server(None) as server:
        await deliver("email", [FIRING], {}, block(server.port, "None"))
        error = await refused("email", [FIRING], {}, block(25, "None", "mail.example.com"), policy=EgressPolicy())

    assert len(server.mails) == 1
    assert error.reason == "EgressRefused"


@pytest.mark.parametrize("host", ["10.0.0.1", "169.254.169.254", "127.0.0.1"])
async def test_servers_are_judged_before_anything_is_sent(host: str) -> None:
    """A manifest's mail server is no way into the network that the program runs in."""
    error = await refused("email", [FIRING], LOGIN, block(587, host=host), policy=EgressPolicy())

    assert error.reason == "EgressRefused"


async def test_names_are_judged_by_their_addresses() -> None:
    """A public name that resolves to a private address is refused."""

    async def resolve(host: str, port: int) -> list[str]:
        return ["10.1.2.3"]

    settings = block(587, host="mail.example.com")
    error = await refused("email", [FIRING], LOGIN, settings, policy=EgressPolicy(), resolve=resolve)

    assert error.reason == "EgressRefused"
    assert "10.1.2.3" in str(error)


async def test_only_trusted_servers_get_the_password(tmp_path: Path, certificates: Certificates) -> None:
    """A server whose certificate somebody else signed, or that is another's, is told nothing."""
    for tls in (Certificates(tmp_path).server("127.0.0.1"), certificates.server("mail.example.com")):
        async with mail_server(tls, users=USERS) as server:
            error = await error_of(server, certificates, **LOGIN)

        assert isinstance(error, NeedsPerson)
        assert error.reason == "CertificateNotTrusted"
        assert not server.mails


async def test_a_wrong_password_needs_a_person(certificates: Certificates) -> None:
    """It is named as what it is, and not shown."""
    async with mail_server(certificates.server("127.0.0.1"), users={"costs": "another"}) as server:
        error = await error_of(server, certificates, **LOGIN)

    assert isinstance(error, NeedsPerson)
    assert error.reason == "Unauthorized"
    assert PASSWORD not in "".join(traceback.format_exception(error)) + repr(error)


@pytest.mark.parametrize(
    ("replies", "kind", "reason"),
    [
        ({"RCPT": "450 4.2.1 Greylisted, try later"}, RetryLater, "VendorUnavailable"),
        ({"DATA": "452 4.3.1 Insufficient storage"}, RetryLater, "VendorUnavailable"),
        ({"DATA": "421 4.3.2 Shutting down"}, RetryLater, "VendorUnavailable"),
        ({"AUTH": "454 4.7.0 Temporary authentication failure"}, RetryLater, "VendorUnavailable"),
        ({"RCPT": "550 5.1.1 No such user"}, NeedsPerson, "MessageRefused"),
        ({"DATA": "554 5.7.1 Looks like spam"}, NeedsPerson, "MessageRefused"),
    ],
)
async def test_replies_say_who_acts(
    certificates: Certificates, replies: dict[str, str], kind: type[ReconcilerError], reason: str
) -> None:
    """4xx is for now and tried again, 5xx for good; the server's words are kept."""
    users = USERS if "AUTH" in replies else {}
    async with mail_server(certificates.server("127.0.0.1"), replies=replies, users=users) as server:
        error = await error_of(server, certificates, **(LOGIN if users else {}))

    assert type(error) is kind
    assert error.reason == reason
    assert next(iter(replies.values())).split(" ", 2)[-1] in str(error)
    assert not server.mails


async def test_one_bad_address_does_not_keep_the_mail_from_the_others(certificates: Certificates) -> None:
    """The mail goes to those whom the server knows, and the receipt names the others."""
    replies = {"RCPT ops@example.com": "550 5.1.1 No such user"}
    async with mail_server(certificates.server("127.0.0.1"), replies=replies) as server:
        receipt = await send(server, certificates, FIRING)

    assert server.envelopes[0].rcpt_tos == ["ann@example.com"]
    assert receipt.text == "refused for ops@example.com"


async def test_a_mail_that_was_taken_is_delivered(certificates: Certificates) -> None:
    """A server that hangs up right after it took the mail has taken it: another attempt would send it twice."""
    async with mail_server(certificates.server("127.0.0.1"), rude=True) as server:
        receipt = await send(server, certificates, FIRING)

    assert receipt.text == "accepted"
    assert len(server.mails) == 1


async def test_a_server_that_says_nothing_is_for_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that takes the connection and is silent is given up in time."""
    monkeypatch.setattr(smtp, "PATIENCE", 0.2)
    hung_up = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        hung_up.set()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as silent:
        error = await refused("email", [FIRING], {}, block(silent.sockets[0].getsockname()[1]))
        await asyncio.wait_for(hung_up.wait(), 5)

    assert isinstance(error, RetryLater)


async def test_a_server_that_is_down_is_for_later(certificates: Certificates) -> None:
    """No connection, and no name, are worth another try."""
    async with mail_server(None) as server:
        pass
    down = await error_of(server, certificates)
    nameless = await refused("email", [FIRING], {}, block(587, host="mail.invalid"))

    assert isinstance(down, RetryLater)
    assert isinstance(nameless, RetryLater)


@pytest.mark.parametrize("greeting", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00\xff\r\n", b""])
async def test_what_is_no_mail_server_is_told_as_such(greeting: bytes) -> None:
    """Garbage instead of a greeting is an error of this channel, and no traceback."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        error = await refused("email", [FIRING], {}, block(server.sockets[0].getsockname()[1]))

    assert isinstance(error, RetryLater | NeedsPerson)
