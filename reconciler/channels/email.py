"""Mail: over SMTP, or through the HTTP API of a service that sends it.

Amazon SES is reached over its SMTP interface: the same protocol as any other server, where its API would need
signatures of its own (https://docs.aws.amazon.com/ses/latest/dg/send-email-smtp.html). Its SMTP credentials are not
AWS access keys.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from email.message import EmailMessage
from email.utils import format_datetime
from hashlib import sha256
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

from pydantic import Field

from reconciler.channels.base import Channel, ChannelTraits, CredentialKey, Receipt, Settings
from reconciler.channels.message import Message
from reconciler.channels.posting import basic, bearer, post, post_json
from reconciler.channels.rendering import html, subject, text
from reconciler.channels.smtp import Login, Server, submit
from reconciler.channels.webhook import key_of
from reconciler.connectors.http import Refused
from reconciler.connectors.rules import rules
from reconciler.errors import Bug, RetryLater

ADDRESS: Final = (
    r"self.matches('^([^<>@,;\\s]+@[^<>@,;\\s]+|[^<>@,;\\n\\r]+<[^<>@,;\\s]+@[^<>@,;\\s]+>)$')",
    "not a mail address; write it like costs@example.com or Costhook <costs@example.com>",
)
Address = Annotated[str, Field(max_length=320, json_schema_extra=rules(ADDRESS))]
Host = Annotated[str, Field(max_length=253, pattern=r"^[A-Za-z0-9.:-]+$")]

BASES: Final = {
    "resend": "https://api.resend.com",
    "sendgrid": "https://api.sendgrid.com",
    "mailgun": "https://api.mailgun.net",
}


class SmtpSettings(Settings):
    """A mail server."""

    host: Host = Field(description="Its name.")
    port: int = Field(default=587, description="587 for StartTLS, 465 for TLS.", ge=1, le=65535)
    encryption: Literal["StartTLS", "TLS", "None"] = Field(
        default="StartTLS",
        description="StartTLS and TLS insist on it; None is for servers on hosts that an administrator allowed.",
    )


class SesSettings(Settings):
    """Amazon SES."""

    region: str = Field(description="Such as eu-central-1.", max_length=32, pattern=r"^[a-z0-9-]+$")


class MailgunSettings(Settings):
    """Mailgun."""

    domain: Host = Field(description="The sending domain, such as mg.example.com.")


class EmailSettings(Settings):
    """Who writes to whom, and by which way."""

    model_config = Settings.model_config | {
        "json_schema_extra": {
            "x-kubernetes-validations": [
                {
                    "rule": f"self.via != '{via}' || has(self.{via})",
                    "message": f"via {via} needs it, with {needs}",
                    "fieldPath": f".{via}",
                }
                for via, needs in (("smtp", "host"), ("ses", "region"), ("mailgun", "domain"))
            ]
        }
    }

    sender: Address = Field(alias="from", description="The sender, such as Costhook <costs@example.com>.")
    to: list[Address] = Field(
        description="Who gets it; everybody sees everybody. At most 50.", min_length=1, max_length=50
    )
    via: Literal["smtp", "ses", "resend", "sendgrid", "mailgun"] = Field(default="smtp", description="Who sends it.")
    smtp: SmtpSettings | None = Field(default=None, description="The mail server, for via smtp.")
    ses: SesSettings | None = Field(default=None, description="For via ses.")
    mailgun: MailgunSettings | None = Field(default=None, description="For via mailgun.")
    base_url: str | None = Field(
        default=None,
        alias="baseURL",
        description="Address of the service's API, where it is not the usual one: https://api.eu.mailgun.net, "
        "https://api.eu.sendgrid.com, or a proxy.",
        max_length=2048,
        pattern=r"^https?://\S+$",
    )


_API_KEY: Final = (CredentialKey("apiKey", "the API key of the service that sends the mail"),)
_LOGIN: Final = (
    CredentialKey("password", "the password at the mail server, where it asks for one", required=False),
    CredentialKey("username", "the user name at the mail server, where it asks for one", required=False),
)


class Email(Channel[EmailSettings]):
    """One mail to all."""

    traits = ChannelTraits(
        type="email",
        title="Email",
        needs="from, to, and via with what that needs",
        credentials=(*_LOGIN, CredentialKey(_API_KEY[0].name, _API_KEY[0].says, required=False)),
    )
    Settings = EmailSettings

    @classmethod
    def credential_keys(cls, settings: EmailSettings) -> tuple[CredentialKey, ...]:
        if settings.via == "ses":
            return tuple(CredentialKey(key.name, key.says) for key in _LOGIN)
        return _LOGIN if settings.via == "smtp" else _API_KEY

    async def send(self, messages: Sequence[Message]) -> Receipt:
        ways: Mapping[str, Callable[[Sequence[Message]], Awaitable[Receipt]]] = {
            "resend": self._resend,
            "sendgrid": self._sendgrid,
            "mailgun": self._mailgun,
        }
        return await ways.get(self.settings.via, self._smtp)(messages)

    async def _smtp(self, messages: Sequence[Message]) -> Receipt:
        credentials = self.context.credentials
        user = credentials.get("username")
        login = Login(user, credentials.get("password") or "") if user else None
        refused = await submit(self.context, server_of(self.settings), login, mail(self.settings, messages))
        return Receipt(id=message_id(messages), text=f"refused for {', '.join(refused)}" if refused else "accepted")

    async def _resend(self, messages: Sequence[Message]) -> Receipt:
        """https://resend.com/docs/api-reference/emails/send-email; a key is honoured for 24 hours."""
        body = {
            "from": self.settings.sender,
            "to": self.settings.to,
            "subject": subject(messages),
            "text": text(messages),
            "html": html(messages),
        }
        headers = self._bearer() | {"Idempotency-Key": digest(messages)}
        try:
            taken = await post_json(self.http, "Resend", f"{self._base()}/emails", body, headers)
        except Refused as error:
            if isinstance(error.body, Mapping) and error.body.get("name") == "concurrent_idempotent_requests":
                raise RetryLater(str(error)) from None  # another attempt with this key has not ended
            raise
        return _named("Resend", taken.json())

    async def _sendgrid(self, messages: Sequence[Message]) -> Receipt:
        """https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send: 202 without a body."""
        body = {
            "personalizations": [{"to": [_mailbox(address) for address in dict.fromkeys(self.settings.to)]}],
            "from": _mailbox(self.settings.sender),
            "subject": subject(messages),
            "content": [
                {"type": "text/plain", "value": text(messages)},
                {"type": "text/html", "value": html(messages)},
            ],
        }
        taken = await post_json(self.http, "SendGrid", f"{self._base()}/v3/mail/send", body, self._bearer())
        return Receipt(id=taken.headers.get("x-message-id"), text=f"answered {taken.status}")

    async def _mailgun(self, messages: Sequence[Message]) -> Receipt:
        """https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/messages: a form, user `api`."""
        assert self.settings.mailgun is not None
        form = [
            ("from", self.settings.sender),
            *(("to", address) for address in self.settings.to),
            ("subject", subject(messages)),
            ("text", text(messages)),
            ("html", html(messages)),
            ("h:Message-Id", message_id(messages)),
        ]
        headers = basic(self.http, "api", self.context.credentials["apiKey"])
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        url = f"{self._base()}/v3/{self.settings.mailgun.domain}/messages"
        taken = await post(self.http, "Mailgun", url, urlencode(form).encode(), headers)
        return _named("Mailgun", taken.json())

    def _base(self) -> str:
        return (self.settings.base_url or BASES[self.settings.via]).rstrip("/")

    def _bearer(self) -> dict[str, str]:
        return bearer(self.http, self.context.credentials["apiKey"])


def server_of(settings: EmailSettings) -> Server:
    """The mail server to talk to, for via smtp and ses."""
    if settings.via == "ses" and settings.ses is not None:
        return Server(f"email-smtp.{settings.ses.region}.amazonaws.com", 587, "StartTLS")
    assert settings.smtp is not None
    return Server(settings.smtp.host, settings.smtp.port, settings.smtp.encryption)


def mail(settings: EmailSettings, messages: Sequence[Message]) -> EmailMessage:
    """The mail, in plain text and HTML. The same messages always make the same mail."""
    made = EmailMessage()
    made["From"] = settings.sender
    made["To"] = ", ".join(settings.to)
    made["Subject"] = subject(messages)
    made["Date"] = format_datetime(messages[0].judged_at)
    made["Message-ID"] = message_id(messages)
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(text(messages))
    made.add_alternative(html(messages), subtype="html")
    return made


def message_id(messages: Sequence[Message]) -> str:
    """The same for every attempt, so that mailboxes that look at it show a repeated mail once."""
    return f"<{digest(messages)[:32]}@costhook>"  # short enough for a line of its own


def digest(messages: Sequence[Message]) -> str:
    """The delivery's key in 64 letters and digits: some take no more than 256, and not all of them."""
    return sha256(key_of(messages).encode()).hexdigest()


def _mailbox(address: str) -> dict[str, str]:
    name, _, rest = address.rpartition("<")
    return {"email": rest.rstrip(">").strip(), **({"name": name.strip()} if name.strip() else {})}


def _named(title: str, answer: Any) -> Receipt:
    if not isinstance(answer, Mapping) or not isinstance(answer.get("id"), str):
        raise Bug(f"{title}: its answer does not say which mail it took")
    return Receipt(id=answer["id"])
