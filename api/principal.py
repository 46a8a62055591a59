"""Who asks, and what they may see and do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

Scope = Literal["read", "sync", "alert", "export", "metrics"]
"""What a caller may do: read costs, ask for and cancel syncs, acknowledge and silence alerts and test channels, take
files, scrape metrics."""

SCOPES: Final[frozenset[str]] = frozenset(get_args(Scope))


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller whose identity is proven. `namespaces` of None means all of them."""

    name: str
    """As logs and the audit log show it; never a credential."""
    kind: Literal["local", "token", "jwt", "kubernetes"]
    namespaces: frozenset[str] | None
    scopes: frozenset[str]
    sync_in: frozenset[str] | None = None
    """The namespaces in which the scope sync holds; None: in all that they see."""

    alert_in: frozenset[str] | None = None
    """The same of the scope alert."""

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes

    def may_sync(self, namespace: str) -> bool:
        return self.may("sync") and (self.sync_in is None or namespace in self.sync_in)

    def may_alert(self, namespace: str) -> bool:
        return self.may("alert") and (self.alert_in is None or namespace in self.alert_in)

    def sees(self, namespace: str) -> bool:
        return self.namespaces is None or namespace in self.namespaces


LOCAL: Final = Principal("local", "local", None, SCOPES)
"""Whoever sits at this machine, where the API listens to it alone."""
