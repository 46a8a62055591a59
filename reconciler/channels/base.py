"""What a channel is: messages in, a delivery at one receiver out.

A channel is a class with `traits`, a `Settings` model (the block `spec.<type>` of a Channel) and one method, `send`.
It makes one attempt and says how that went; when to try again, and what not to send at all, is the outbox's to
decide. It talks HTTP through the client it is given, keeps no state, and never sees the database.
"""

from __future__ import annotations

import ssl
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar, Final, Generic, TypeVar

from reconciler.channels.message import Message
from reconciler.connectors.base import CredentialKey, Credentials, Settings
from reconciler.connectors.egress import EgressPolicy
from reconciler.connectors.transport import Resolve, resolve

if TYPE_CHECKING:
    from reconciler.connectors.http import VendorClient

__all__ = ["Channel", "ChannelContext", "ChannelTraits", "CredentialKey", "Credentials", "Receipt", "Settings"]

RECEIPT_TEXT: Final = 500

S = TypeVar("S", bound=Settings)


@dataclass(frozen=True, slots=True)
class ChannelTraits:
    """What a kind of receiver is like."""

    type: str
    """The value of `spec.type` and the name of the settings block."""
    title: str
    """The receiver's name as people write it."""
    credentials: tuple[CredentialKey, ...] = ()
    """Keys of the Secret; the first is the one that `secretRef.key` may rename."""
    needs: str = ""
    """What its block of settings must say, in words; empty where it can do without a block."""
    honours_key: bool = False
    """Whether a message that is delivered twice is shown once."""
    resend_every: timedelta | None = None
    """How often what still fires has to be sent again, because the receiver forgets it; None where it does not."""
    batches: bool = True
    """Whether several messages can go out as one."""

    @property
    def guide(self) -> str:
        """Where the documentation tells of it."""
        return f"docs/channels.md#{self.type}"


@dataclass(frozen=True, slots=True)
class Receipt:
    """That a receiver took a delivery, as far as it says so; both parts are free of secrets."""

    id: str | None = None
    """The receiver's own name for it, or what it answered."""
    text: str = ""
    """For people."""


@dataclass(frozen=True)
class ChannelContext:
    """What a channel is given besides its settings.

    `policy` and `resolve` are for the channels that do not speak HTTP; `http` holds to them by itself. `tls` are the
    certificates trusted instead of the system's.
    """

    http: VendorClient
    credentials: Credentials
    now: datetime
    policy: EgressPolicy = field(default_factory=EgressPolicy)
    resolve: Resolve = resolve
    tls: ssl.SSLContext | None = None


class Channel(ABC, Generic[S]):
    """Base of all channels; one instance lives for one delivery."""

    traits: ClassVar[ChannelTraits]
    Settings: ClassVar[type[Settings]] = Settings

    def __init__(self, settings: S, context: ChannelContext) -> None:
        self.settings = settings
        self.context = context
        self.http = context.http

    @classmethod
    def credential_keys(cls, settings: S) -> tuple[CredentialKey, ...]:
        """The keys of the Secret that a channel with these settings reads; those of the traits for most types."""
        return cls.traits.credentials

    @abstractmethod
    async def send(self, messages: Sequence[Message]) -> Receipt:
        """Deliver `messages`, at least one: a message as it is, several as one digest. One attempt.

        Raises RetryLater where another attempt may go well, NeedsPerson where the URL, the key or the settings have
        to be changed first, and Bug where the receiver answers what it does not document.
        """
