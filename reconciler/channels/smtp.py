"""Handing one mail to a mail server: to an address that the egress policy judged, encrypted, in one attempt."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Final, Literal

import aiosmtplib

from reconciler.channels.base import ChannelContext
from reconciler.connectors.call import web_address
from reconciler.connectors.redaction import Redactor
from reconciler.connectors.transport import system_trust
from reconciler.errors import NeedsPerson, ReconcilerError, RetryLater

PATIENCE: Final = 30.0
"""Seconds for a whole delivery."""
REACHED: Final = 8.0
"""Seconds for one address, so that there is time for another."""


@dataclass(frozen=True, slots=True)
class Server:
    """A mail server, and how the talk with it is encrypted."""

    host: str
    port: int
    encryption: Literal["StartTLS", "TLS", "None"]

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Login:
    """Who we are at the server."""

    user: str
    password: str = field(repr=False)


async def submit(context: ChannelContext, server: Server, login: Login | None, mail: EmailMessage) -> list[str]:
    """Hand `mail` over; the addresses that the server refused, if it took the mail for others.

    Raises RetryLater, and NeedsPerson: NoEncryption, Unauthorized, CertificateNotTrusted, MessageRefused,
    EgressRefused. Nothing they say holds the password.
    """
    try:
        async with asyncio.timeout(PATIENCE), _session(context, server) as session:
            if login is not None:
                await session.login(login.user, login.password)
            refused, _ = await session.send_message(mail)
            return sorted(refused)
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        raise _in_words(server, error, Redactor(context.credentials.secrets())) from None


@asynccontextmanager
async def _session(context: ChannelContext, server: Server) -> AsyncIterator[aiosmtplib.SMTP]:
    scheme = "http" if server.encryption == "None" else "https"
    context.policy.check_url(web_address(f"{scheme}://{server.host}:{server.port}"))
    session = aiosmtplib.SMTP(
        hostname=server.host,
        sock=await _connected(context, server),
        local_hostname=socket.gethostname(),
        timeout=PATIENCE,
        use_tls=server.encryption == "TLS",
        start_tls=server.encryption == "StartTLS",
        tls_context=None if server.encryption == "None" else context.tls or system_trust(),
    )
    async with session:
        yield session


async def _connected(context: ChannelContext, server: Server) -> socket.socket:
    """A connection to the first of the server's addresses that answers; none of them may be a forbidden one."""
    addresses = await context.resolve(server.host, server.port)
    for address in addresses:
        context.policy.check_address(server.host, address)
    fault: OSError = OSError("the name has no address")
    for address in addresses:
        made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        made.setblocking(False)
        try:
            async with asyncio.timeout(REACHED):
                await asyncio.get_running_loop().sock_connect(made, (address, server.port))
        except OSError as error:
            made.close()
            fault = error
        except BaseException:
            made.close()
            raise
        else:
            return made
    raise fault


def _in_words(server: Server, error: Exception, redactor: Redactor) -> ReconcilerError:
    said = redactor.clean(f"{server}: {str(error) or type(error).__name__}")
    if _about_trust(error):
        return NeedsPerson(f"{said}; its certificate is not trusted", reason="CertificateNotTrusted")
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return _by_code(said, min((each.code for each in error.recipients), default=550))
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return _by_code(said, error.code, login=isinstance(error, aiosmtplib.SMTPAuthenticationError))
    if isinstance(error, OSError):
        return RetryLater(said)
    if "STARTTLS" in said:
        return NeedsPerson(f"{said} Set encryption: TLS and its port, or use another server", reason="NoEncryption")
    return NeedsPerson(said, reason="MessageRefused")


def _by_code(said: str, code: int, *, login: bool = False) -> ReconcilerError:
    """Replies of 4xx are for now, those of 5xx for good (RFC 5321, 4.2.1)."""
    if code < 500:
        return RetryLater(said)
    if login or code in (530, 535):
        return NeedsPerson(f"{said}; check username and password in the Secret", reason="Unauthorized")
    return NeedsPerson(said, reason="MessageRefused")


def _about_trust(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
