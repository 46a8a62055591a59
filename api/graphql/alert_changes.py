"""What callers may do about alerts: take them on, keep them silent, have messages sent; all of it in the audit log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import uuid4

import strawberry

from api.graphql.alerts import Alert, Severity, alert_of
from api.graphql.context import Context, Resolving
from api.graphql.errors import Code, PublicError
from api.graphql.inputs import text
from api.graphql.mutations import NotFoundProblem, StateProblem, not_found, note
from api.graphql.notifications import Notification, notification_of, place_of
from api.graphql.silences import Silence, silence_of
from ledger.alerts import hands
from ledger.alerts.book import EPOCH, Name
from ledger.alerts.hands import Hand, Scope, Was, Which
from ledger.database import Connection
from ledger.reads import alerts, notifications

MAX_NOTE: Final = 1_000
"""Characters of what people write down."""


@strawberry.input(
    description="What is to be silent: what matches every field given; the namespace alone is all of its alerts."
)
class SilenceScope:
    namespace: str
    alert: str | None = None
    budget: str | None = None
    severity: Severity | None = None

    def meant(self) -> Scope:
        return Scope(
            text(self.namespace, "namespace"),
            self.alert and text(self.alert, "alert"),
            self.budget and text(self.budget, "budget"),
            None if self.severity is None else self.severity.value,
        )


@strawberry.type(description="Levels were acknowledged: nobody is told of them again until then, or until they end.")
class AlertAcknowledged:
    alert: Alert
    changed: int = strawberry.field(description="How many levels.")


@strawberry.type(description="Levels are nobody's any more, and are told again as the alert says.")
class AlertUnacknowledged:
    alert: Alert
    changed: int = strawberry.field(description="How many levels.")


@strawberry.type(description="Alerts are judged and shown all the same; nobody is told.")
class Silenced:
    silence: Silence


@strawberry.type(description="The silence has ended; what fires and was not told is told now.")
class SilenceEnded:
    silence: Silence


@strawberry.type(description="A test message waits; whether it arrives is in notification(id).")
class TestRequested:
    notification: Notification


@strawberry.type(description="The message waits again, and is tried now.")
class NotificationRetried:
    notification: Notification


AcknowledgeResult = Annotated[
    AlertAcknowledged | NotFoundProblem | StateProblem, strawberry.union("AcknowledgeAlertResult")
]
UnacknowledgeResult = Annotated[
    AlertUnacknowledged | NotFoundProblem | StateProblem, strawberry.union("UnacknowledgeAlertResult")
]
SilenceResult = Annotated[Silenced | NotFoundProblem, strawberry.union("SilenceResult")]
EndSilenceResult = Annotated[SilenceEnded | NotFoundProblem | StateProblem, strawberry.union("EndSilenceResult")]
TestChannelResult = Annotated[TestRequested | NotFoundProblem, strawberry.union("TestChannelResult")]
RetryResult = Annotated[
    NotificationRetried | NotFoundProblem | StateProblem, strawberry.union("RetryNotificationResult")
]


async def acknowledge_alert(
    info: Resolving,
    *,
    namespace: str,
    name: str,
    level: str | None = None,
    provider: str | None = None,
    until: datetime | None = None,
    note: str | None = None,
) -> AcknowledgeResult:
    context, which = _which(info, namespace, name, level, provider)
    written = _written(note, "note")
    _to_come(until, context)
    async with context.ledger() as connection:
        if await _alert(connection, which.alert) is None:
            return not_found("There is no such alert.", "name")
        changed = await hands.acknowledge(connection, which, _hand(context), until, written)
        if not changed:
            return StateProblem(code="NOT_FIRING", message="None of these levels fires.", field="name")
        after = {"by": context.principal.name, "until": _said(until), "note": written}
        await _noted(connection, context, "acknowledgeAlert", which, changed, after)
        found = await _alert(connection, which.alert)
    assert found is not None
    return AlertAcknowledged(alert=found, changed=len(changed))


async def unacknowledge_alert(
    info: Resolving, *, namespace: str, name: str, level: str | None = None, provider: str | None = None
) -> UnacknowledgeResult:
    context, which = _which(info, namespace, name, level, provider)
    async with context.ledger() as connection:
        if await _alert(connection, which.alert) is None:
            return not_found("There is no such alert.", "name")
        changed = await hands.unacknowledge(connection, which, _hand(context))
        if not changed:
            return StateProblem(code="NOT_ACKNOWLEDGED", message="None of these levels is acknowledged.", field="name")
        await _noted(connection, context, "unacknowledgeAlert", which, changed, None)
        found = await _alert(connection, which.alert)
    assert found is not None
    return AlertUnacknowledged(alert=found, changed=len(changed))


async def silence(info: Resolving, *, scope: SilenceScope, until: datetime, reason: str) -> SilenceResult:
    context, meant = _allowed(info, scope.namespace), scope.meant()
    written = _written(reason, "reason")
    if not written or not written.strip():
        raise PublicError(Code.BAD_INPUT, "Say why, for those who wonder.", field="reason")
    _to_come(until, context)
    async with context.ledger() as connection:
        for kind, name, field in (("Alert", meant.alert, "scope.alert"), ("Budget", meant.budget, "scope.budget")):
            if name is not None and not await hands.is_there(connection, meant.namespace, kind, name):
                return not_found(f"There is no such {kind.lower()}.", field)
        if not await hands.is_there(connection, meant.namespace, "Alert"):
            return not_found("There is no alert in such a namespace.", "scope.namespace")
        number = await hands.silence(connection, meant, _hand(context), until, written)
        made = await notifications.silence(connection, meant.namespace, number)
        assert made is not None
        await note(
            connection, context, "silence", meant.namespace, _name(number), {"before": None, "after": _held(made)}
        )
    return Silenced(silence=silence_of(made, context.now))


async def end_silence(info: Resolving, *, id: strawberry.ID) -> EndSilenceResult:  # noqa: A002  # the schema's word
    number, namespace = place_of(id, "Silence") or (0, "")
    context = _allowed(info, namespace)
    async with context.ledger() as connection:
        before = await notifications.silence(connection, namespace, number)
        if before is None:
            return not_found("There is no such silence.", "id")
        if not await hands.end_silence(connection, namespace, number, _hand(context)):
            return StateProblem(code="ENDED", message="It has ended already.", field="id")
        after = await notifications.silence(connection, namespace, number)
        assert after is not None
        detail = {"before": _held(before), "after": _held(after)}
        await note(connection, context, "endSilence", namespace, _name(number), detail)
    return SilenceEnded(silence=silence_of(after, context.now))


async def test_channel(info: Resolving, *, namespace: str, name: str) -> TestChannelResult:
    namespace, name = text(namespace, "namespace"), text(name, "name")
    context = _allowed(info, namespace)
    async with context.ledger() as connection:
        if not await hands.is_there(connection, namespace, "Channel", name):
            return not_found("There is no such channel.", "name")
        number = await hands.ask_test(connection, namespace, name, uuid4().hex, _hand(context))
        assert number is not None  # the key is new
        await note(connection, context, "testChannel", namespace, name, {"notification": number})
        made = await notifications.notification(connection, namespace, number)
    assert made is not None
    return TestRequested(notification=notification_of(made))


async def retry_notification(info: Resolving, *, id: strawberry.ID) -> RetryResult:  # noqa: A002  # the schema's word
    number, namespace = place_of(id, "Notification") or (0, "")
    context = _allowed(info, namespace)
    async with context.ledger() as connection:
        before = await notifications.notification(connection, namespace, number)
        if before is None:
            return not_found("There is no such message.", "id")
        if await hands.retry(connection, namespace, number, _hand(context)) is None:
            return StateProblem(code="NOT_DEAD", message="It was not given up.", field="id")
        after = await notifications.notification(connection, namespace, number)
        assert after is not None
        states = {
            "before": {"state": before.state, "error": before.error},
            "after": {"state": after.state, "error": None},
        }
        await note(
            connection, context, "retryNotification", namespace, before.channel, {"notification": number, **states}
        )
    return NotificationRetried(notification=notification_of(after))


def _allowed(info: Resolving, namespace: str) -> Context:
    """The request, of a caller who may do something there. To others it is as if the namespace were not there."""
    principal = info.context.principal
    if not principal.may("alert"):
        raise PublicError(Code.FORBIDDEN, "This takes the scope alert.")
    if principal.sees(namespace) and not principal.may_alert(namespace):
        raise PublicError(Code.FORBIDDEN, "You may see this namespace, and do nothing about its alerts.")
    return info.context


def _which(
    info: Resolving, namespace: str, name: str, level: str | None, provider: str | None
) -> tuple[Context, Which]:
    alert = Name(text(namespace, "namespace"), text(name, "name"))
    chosen = Which(alert, level and text(level, "level"), provider and text(provider, "provider"))
    return _allowed(info, namespace), chosen


async def _alert(connection: Connection, name: Name) -> Alert | None:
    chosen = alerts.AlertFilter(namespaces=(name.namespace,), names=(name.name,))
    found = await alerts.alerts(connection, chosen)
    return alert_of(found[0]) if found else None


async def _noted(
    connection: Connection,
    context: Context,
    action: str,
    which: Which,
    changed: Sequence[Was],
    after: Mapping[str, Any] | None,
) -> None:
    levels = [
        {
            "level": was.level,
            "provider": was.subject or None,
            "period": None if was.period_first == EPOCH else was.period_first.isoformat(),
            "before": None if was.at is None else {"by": was.by, "until": _said(was.until), "note": was.note},
            "after": after,
        }
        for was in changed
    ]
    await note(connection, context, action, which.alert.namespace, which.alert.name, {"levels": levels})


def _held(silence: notifications.Silence) -> Mapping[str, Any]:
    same = ("alert", "budget", "severity", "reason")
    return {**{name: getattr(silence, name) for name in same}, "until": _said(silence.ends_at)}


def _hand(context: Context) -> Hand:
    return Hand(context.principal.name, context.now)


def _to_come(until: datetime | None, context: Context) -> None:
    if until is not None and until <= context.now:
        raise PublicError(Code.BAD_INPUT, "That time is over.", field="until")


def _written(words: str | None, field: str) -> str | None:
    if words is not None and len(text(words, field)) > MAX_NOTE:
        raise PublicError(Code.BAD_INPUT, f"At most {MAX_NOTE} characters.", field=field)
    return words


def _said(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _name(number: int) -> str:
    return f"silence {number}"
