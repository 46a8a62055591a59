"""What a connector is: a vendor's billing data in, charges out.

A connector is a class with `traits`, a `Settings` model (the block `spec.<type>` of a Provider) and three
methods: `check`, `windows` and `charges`. It talks HTTP through the client it is given and through nothing
else, keeps no state between runs, and never sees the database. docs/adding-a-connector.md walks through one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from ledger.charge import Charge, Origin
from ledger.entry import Entry
from ledger.window import Span, Window, by_month

if TYPE_CHECKING:
    from reconciler.connectors.http import VendorClient
    from reconciler.errors import NeedsPerson

BATCH: Final = 2000
"""Charges in a batch, about; small enough to stay flat in memory, large enough to cost little per row."""


class Settings(BaseModel):
    """Base of a connector's settings block: camelCase in manifests, unknown fields refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


S = TypeVar("S", bound=Settings)


@dataclass(frozen=True, slots=True)
class CredentialKey:
    """One key of the Secret that a connector reads. `prefix` is how a good value begins, where vendors say."""

    name: str
    says: str
    required: bool = True


@dataclass(frozen=True, slots=True)
class Traits:
    """What a vendor's data is like. Shown by `costhook connectors` and GraphQL, and used by the reconciler."""

    type: str
    """The value of `spec.type` and the name of the settings block."""
    title: str
    """The vendor's name as people write it."""
    origin: Origin
    gives: str
    """One sentence: which figures, by which dimensions."""
    grain: str
    """The finest period of a charge: Hour, Day, Month or Line."""
    reach: timedelta | None
    """How far back the vendor can be asked; None where there is no limit."""
    settling: timedelta
    """After the end of a day, how long until the day's figures are all there."""
    moving: timedelta
    """After the end of a day, how long its figures may still change: the default of `spec.restate`."""
    longest_window: timedelta = timedelta(days=31)
    """The longest period asked for in one window."""
    rate_limit: str | None = None
    """The vendor's own words on how often it may be asked; None where it says nothing."""
    call_cost: str | None = None
    """What one call costs, such as "0.01 USD"; None where calls are free."""
    attribution_only: bool = False
    """Whether its figures only attribute what other Providers bill, such as a proxy's view of model vendors' costs.
    The default of `spec.attributionOnly`: totals leave such a Provider out."""
    credentials: tuple[CredentialKey, ...] = ()
    """Keys of the Secret; the first is the one that `secretRef.key` may rename."""

    @property
    def guide(self) -> str:
        """Path of the guide in the documentation."""
        return f"docs/connectors/{self.type}.md"


class Credentials:
    """The values of the Secret that a Provider names. Shows nothing of them in reprs, logs or errors."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def get(self, name: str) -> str | None:
        return self._values.get(name)

    def secrets(self) -> tuple[str, ...]:
        """Every value, for the redaction of messages."""
        return tuple(value for value in self._values.values() if value)

    def __repr__(self) -> str:
        return f"Credentials({', '.join(sorted(self._values))})"


@dataclass(frozen=True, slots=True)
class Account:
    """What `check` found out: whose account the credential opens, and anything worth telling (scopes, expiry)."""

    id: str | None = None
    name: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SyncPrice:
    """What one sync costs at the vendor: about how many of its calls have a price, and their price together."""

    calls: int
    amount: Decimal
    currency: str = "USD"


async def no_entries() -> Sequence[Entry]:
    """Of Providers for which nobody entered anything."""
    return ()


@dataclass(frozen=True)
class Context:
    """What a connector is given besides its settings.

    `memory` is what earlier windows asked to remember (see Window.remember). `folder` is where the manifest
    lies, for connectors that read files; None in a cluster. `name` and `namespace` are the Provider's, and `entries`
    reads the figures that people entered for it.
    """

    http: VendorClient
    credentials: Credentials
    now: datetime
    memory: Mapping[str, Any] = field(default_factory=dict)
    folder: Path | None = None
    name: str = ""
    namespace: str = ""
    entries: Callable[[], Awaitable[Sequence[Entry]]] = no_entries


class Connector(ABC, Generic[S]):
    """Base of all connectors; one instance lives for one sync."""

    traits: ClassVar[Traits]
    Settings: ClassVar[type[Settings]]

    def __init__(self, settings: S, context: Context) -> None:
        self.settings = settings
        self.context = context
        self.http = context.http

    @classmethod
    def credential_keys(cls, settings: S) -> tuple[CredentialKey, ...]:
        """The keys of the Secret that a Provider with these settings reads; those of the traits for most vendors."""
        return cls.traits.credentials

    @classmethod
    def traits_of(cls, settings: S) -> Traits:
        """What the data is like that a Provider with these settings reads; what `traits` says for most vendors."""
        return cls.traits

    @abstractmethod
    async def check(self) -> Account:
        """Ask the vendor, as cheaply as it can be asked, whether the credential is good for billing data.

        Raises NeedsPerson with words that say which key is needed and where it is made, or RetryLater.
        """

    async def windows(self, due: Sequence[Span], history: Span) -> list[Window]:
        """The windows to read so that every span of `due` is read, in the order in which to read them.

        `due` holds whole UTC days, oldest first; `history` is all that the Provider keeps. The default cuts
        at UTC month starts and at `traits.longest_window`, newest first. Override it where the vendor bills
        by days of its own or where the data itself says what is new.
        """
        return by_month(due, self.traits.longest_window)

    @abstractmethod
    def charges(self, window: Window) -> AsyncIterator[Sequence[Charge]]:
        """Every charge that starts in the window, in batches of about BATCH, in any order.

        The window is stored only if the iterator ends normally: any error discards it whole. Raises
        RetryLater, NeedsPerson or Bug.
        """

    def sync_price(self, trailing: timedelta) -> SyncPrice | None:
        """What a sync costs in which nothing is due but the `trailing` days; None where calls are free.

        Asked once everything was read, so that what was learned on the way counts.
        """
        return None

    async def awaiting(self) -> NeedsPerson | None:
        """What only a person can bring, once all that there is was read; None where nothing is missed.

        It shows as the Provider's condition; the sync has gone well all the same.
        """
        return None
