"""One resource under reconciliation: what a reconcile function is given, and what it answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from ledger.accounts import Account
from ledger.resources import Ref
from reconciler.sources.base import REQUESTED_AT, Resource
from reconciler.status import Remark, Verdict


@dataclass(frozen=True)
class Case:
    """A resource as it is now, the generation of its spec, its status so far, and a way to show progress.

    `forced` asks for a sync whatever is due. `kept` is the status that readers of the ledger see; it is another
    than `before` when the source shows statuses of its own and somebody changed one.
    """

    resource: Resource
    generation: int
    before: Mapping[str, Any]
    forced: bool
    show: Callable[[Verdict], Awaitable[None]]
    kept: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ref(self) -> Ref:
        kind, namespace, name = self.resource.key
        return Ref(namespace, kind, name)

    @property
    def requested_at(self) -> str | None:
        """The value of the annotation that asks for a sync now."""
        return self.resource.annotations.get(REQUESTED_AT)

    @property
    def changed(self) -> bool:
        """Whether the spec is another than the one the status speaks of."""
        return self.before.get("observedGeneration") != self.generation

    @property
    def asked(self) -> bool:
        """Whether the annotation asks for a sync that has not been done."""
        return self.requested_at is not None and self.requested_at != self.before.get("lastHandledReconcileAt")

    def account(self, type_: str, **terms: Any) -> Account:
        """The account in the ledger that this resource declares, on the terms that Account names."""
        kind, namespace, name = self.resource.key
        return Account(namespace, name, kind, type_, self.resource.labels, **terms)


@dataclass(frozen=True)
class Outcome:
    """What a reconcile function found. `verdict` of None leaves the conditions as they are.

    `fields` are status fields beside the conditions, `remarks` conditions beside the verdict (None leaves those of
    before). `again` is when to look at the resource again without
    being told to; None waits for a change. `failed` asks for another try soon, but not before `again`; `waits` says
    that nothing was done because it is not its turn.
    """

    verdict: Verdict | None
    fields: Mapping[str, Any] = field(default_factory=dict)
    remarks: Sequence[Remark] | None = None
    again: timedelta | None = None
    failed: bool = False
    waits: bool = False
