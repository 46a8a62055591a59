"""Reconciling an Allocation: whether its rules are in force. They are applied where costs are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ledger import resources
from ledger.resources import Ref
from reconciler.case import Case, Outcome
from reconciler.deps import Deps
from reconciler.kinds.reading import read
from reconciler.sources.base import Key
from reconciler.status import Verdict

IN_FORCE = "inForceGeneration"


async def reconcile(case: Case, deps: Deps) -> Outcome:
    """Put the rules in force, unless another Allocation of the dimension comes first by name."""
    spec = case.resource.spec
    read(deps.kinds["Allocation"], spec)
    if case.changed:
        await _tell_others(case.ref, spec, deps)
    first = (await _named(case.ref.namespace, spec, deps))[0]
    if first != case.ref.name:
        message = (
            f"the Allocation {first!r} of this namespace has the dimension {spec['dimension']!r} as well, and comes "
            "first by name; put all rules into one of them, or choose another dimension"
        )
        return Outcome(Verdict("False", "DimensionTaken", message, stalled=True), {IN_FORCE: None})
    rules = len(spec["rules"])
    said = f"costs are allocated by {rules} rule{'' if rules == 1 else 's'}"
    return Outcome(Verdict("True", "Current", said), {IN_FORCE: case.generation})


async def leave(ref: Ref, spec: Mapping[str, Any], deps: Deps) -> bool:
    """The Allocation is gone: another one of its dimension takes its place."""
    await resources.forget(deps.db, ref)  # first, or the others still find it
    await _tell_others(ref, spec, deps)
    return True


async def _tell_others(ref: Ref, spec: Mapping[str, Any], deps: Deps) -> None:
    for name in await _named(ref.namespace, spec, deps):
        if name != ref.name:
            deps.desks.wake(Key("Allocation", ref.namespace, name))


async def _named(namespace: str, spec: Mapping[str, Any], deps: Deps) -> list[str]:
    """Names of the Allocations of the dimension, in order."""
    return await resources.naming(deps.db, namespace, "Allocation", {"dimension": spec.get("dimension")})
