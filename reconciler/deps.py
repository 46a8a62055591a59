"""What reconcile functions need of the world, put together once at the composition root."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from ledger.database import WriterDB
from reconciler.connectors.base import Connector
from reconciler.connectors.http import EgressPolicy, HttpLimits
from reconciler.desks import Desks
from reconciler.kinds.catalogue import Kind
from reconciler.rhythm import phase
from reconciler.sources.base import Source

Clock = Callable[[], datetime]


class Catalogue(Protocol):
    """Finds connectors by the type a Provider names."""

    def __call__(self, type_: str, /) -> type[Connector[Any]]:
        """The connector; raises NeedsPerson (UnknownType) with the types there are."""


@dataclass(frozen=True)
class Deps:
    """Everything a reconcile function may touch.

    `source_name` says which folder or cluster the resources are from; `holder` names this process in leases;
    `phase` says after which part of each interval a provider comes due, by its namespace and name.
    """

    db: WriterDB
    source: Source
    source_name: str
    connector: Catalogue
    kinds: Mapping[str, Kind]
    clock: Clock
    holder: str
    egress: EgressPolicy = field(default_factory=EgressPolicy)
    limits: HttpLimits = field(default_factory=HttpLimits)
    lease_ttl: timedelta = timedelta(seconds=60)
    phase: Callable[[str, str], float] = phase
    patience: timedelta = timedelta(milliseconds=500)
    """A first sync that takes longer is shown to be under way."""
    desks: Desks = field(default_factory=Desks)
    secrets_seen: dict[tuple[str, str], int] = field(default_factory=dict)
    """Hashes of Secrets by namespace and name, in memory only, so that a rotated key is noticed."""
    syncs_ended: dict[tuple[str, str], datetime] = field(default_factory=dict)
    """When the last sync ended that this process knows of, by namespace and name."""

    def now(self) -> datetime:
        return self.clock()


def salted(values: Sequence[str]) -> int:
    """A hash of secret values that means nothing outside this process (Python salts it)."""
    return hash(tuple(values))
