"""Reconciling a Channel: can it be used, what became of its messages, and test messages that people ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ledger import resources
from ledger.alerts import outbox
from ledger.resources import Ref
from reconciler.alerting.delivery import credentials_for
from reconciler.case import Case, Outcome
from reconciler.deps import Deps
from reconciler.kinds.channel import ChannelSpec
from reconciler.kinds.reading import read
from reconciler.sources.base import TEST_AT, Key
from reconciler.status import Verdict, moment

SUSPENDED: Final = Verdict("False", "Suspended", "spec.suspend is true: messages wait until it is false")


async def reconcile(case: Case, deps: Deps) -> Outcome:
    """Show how deliveries go. Raises what the spec or the Secret is wrong in."""
    spec = read(deps.kinds["Channel"], case.resource.spec)
    assert isinstance(spec, ChannelSpec)
    namespace, name = case.ref.namespace, case.ref.name
    asked = case.resource.annotations.get(TEST_AT)
    if asked is not None and asked != case.before.get("lastHandledTestAt"):
        async with deps.db.transaction() as connection:
            await outbox.ask_test(connection, namespace, name, asked, deps.now())
    await credentials_for(spec, namespace, deps)
    if case.changed:
        await _tell_alerts(case.ref, deps)
        await outbox.hurry(deps.db, namespace, name, deps.now())
    counts = await outbox.counts(deps.db, namespace, name)
    fields = {
        "delivered": counts.delivered,
        "failed": counts.failed,
        "dead": counts.dead,
        "lastDeliveryTime": moment(counts.last_delivery),
        "lastError": counts.failing,
        "lastHandledTestAt": asked,
    }
    return Outcome(SUSPENDED if spec.suspend else _verdict(counts), fields)


async def leave(ref: Ref, _spec: Mapping[str, Any], deps: Deps) -> bool:
    """The Channel is gone; what waits for it waits for another of its name, and is given up in the end."""
    await _tell_alerts(ref, deps)
    return True


async def _tell_alerts(ref: Ref, deps: Deps) -> None:
    for name in await resources.naming(deps.db, ref.namespace, "Alert", {"channels": [{"name": ref.name}]}):
        deps.desks.wake(Key("Alert", ref.namespace, name))


def _verdict(counts: Any) -> Verdict:
    if counts.failing is not None:
        message = f"messages wait because the last attempt failed: {counts.failing}"
        return Verdict("False", "DeliveryFailing", message, progressing=True)
    if counts.dead:
        message = f"{counts.dead} messages were given up after a day; the mutation retryNotification tries one again"
        return Verdict("False", "DeadLetters", message, stalled=True)
    return Verdict("True", "Delivering", "messages are delivered as they come")
