"""Where resources come from: the small protocol that Kubernetes and a folder of manifests both serve."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from reconciler.errors import NeedsPerson

API_VERSION = "costhook.io/v1alpha1"
REQUESTED_AT = "costhook.io/requested-at"
TEST_AT = "costhook.io/test-at"


class Key(NamedTuple):
    """Names one resource."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource as its source holds it now; `spec` is what the user wrote, not yet validated."""

    key: Key
    uid: str
    generation: int
    """Counts changes of the spec; 0 where the source keeps no count, and the ledger counts instead."""
    spec: Mapping[str, Any]
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    deleting: bool = False
    """The user has deleted it and the source waits for `release`."""
    folder: Path | None = None
    """The folder its manifest lies in; None in a cluster."""
    place: str | None = None
    """Where a person finds it, such as `providers.yaml:12`; None in a cluster."""
    wrong: str | None = None
    """Why it is not as its manifest now says, but as it was last good; None while it is."""
    status: Mapping[str, Any] | None = None
    """The status that the source shows now; None where a source shows none and the ledger alone keeps it."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A Kubernetes condition. `since` changes only when status, reason or message do."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str
    since: datetime
    observed_generation: int


@dataclass(frozen=True, slots=True)
class Event:
    """Something worth telling once about a resource."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


class SecretMissing(NeedsPerson):
    """The Secret, or the key in it, that a resource names does not exist."""

    reason = "SecretNotFound"


class Source(Protocol):
    """A place where resources live. All methods may be called at any time, by several tasks."""

    def changes(self) -> AsyncIterator[Key]:
        """Every key that exists, once; then each key that changed, appeared or went. Duplicates are harmless."""

    async def get(self, key: Key) -> Resource | None:
        """The resource as it is now; None when it is gone."""

    def vendor(self, key: Key) -> str | None:
        """The type of a Provider that may be due, as far as the source remembers it without looking; None if not."""

    def unreadable(self, place: str | None) -> bool:
        """Whether what lies at `place` is there but cannot be read now, so that its resources are not gone."""

    async def read_secret(self, namespace: str, name: str) -> Mapping[str, str]:
        """The decoded values of a v1 Secret. Raises SecretMissing, in words that say where it was looked for."""

    async def write_status(self, key: Key, status: Mapping[str, Any]) -> None:
        """Show `status` (camelCase, JSON) on the resource; a resource that is gone is no error."""

    async def record_event(self, key: Key, event: Event) -> None:
        """Tell `event` beside the resource."""

    async def release(self, key: Key) -> None:
        """What a deleted resource was kept for is done; the source may let it go."""
