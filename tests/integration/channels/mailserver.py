"""A real mail server, aiosmtpd, in the test's own event loop."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass
class MailServer:
    """What it got, and what it answers: `replies` by command, instead of the usual."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    envelopes: list[Envelope] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
    replies: dict[str, str] = field(default_factory=dict)
    users: dict[str, str] = field(default_factory=dict)
    rude: bool = False
    """Whether it hangs up instead of saying goodbye."""

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        reply = self.replies.get(f"RCPT {address}", self.replies.get("RCPT", "250 OK"))
        if reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - as above
        reply = self.replies.get("DATA", "250 2.0.0 Queued")
        if reply.startswith("250"):
            self.envelopes.append(envelope)
            self.sessions.append(session)
            assert isinstance(envelope.content, bytes)
            self.mails.append(message_from_bytes(envelope.content, EmailMessage, policy=policy.default))
        return reply

    async def handle_QUIT(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - as above
        if self.rude:
            assert isinstance(server.transport, asyncio.WriteTransport)
            server.transport.abort()
        return "221 Bye"

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: Any
    ) -> AuthResult:
        if "AUTH" in self.replies:
            return AuthResult(success=False, handled=False, message=self.replies["AUTH"])
        known = isinstance(given, LoginPassword) and self.users.get(given.login.decode()) == given.password.decode()
        return AuthResult(success=known, handled=False)


@asynccontextmanager
async def mail_server(tls: ssl.SSLContext | None, *, wrapped: bool = False, **named: Any) -> AsyncIterator[MailServer]:
    """A server with STARTTLS by `tls`, or that speaks TLS from the start; without any for None."""
    play = MailServer(**named)

    def talk() -> SMTP:
        return SMTP(
            play,
            hostname="127.0.0.1",
            tls_context=None if wrapped else tls,
            require_starttls=tls is not None and not wrapped,
            authenticator=play.authenticate if play.users else None,
            auth_require_tls=not wrapped and tls is not None,
            loop=asyncio.get_running_loop(),
        )

    server = await asyncio.get_running_loop().create_server(talk, "127.0.0.1", 0, ssl=tls if wrapped else None)
    play.port = server.sockets[0].getsockname()[1]
    try:
        yield play
    finally:
        server.close()
