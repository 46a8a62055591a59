"""Delivering what waits in the outbox: each message at least once, by the terms of its channel.

A message is claimed, sent and noted, in three steps; a process that dies between them loses nothing, and the same key
goes out again. What a channel may not send yet is postponed without using up an attempt.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog

from ledger.alerts import outbox
from ledger.alerts.outbox import Waiting
from reconciler.alerting.patience import GIVEN_UP_AFTER, next_try, quiet_until
from reconciler.alerting.wording import message, test_message
from reconciler.channels.base import Credentials, Receipt
from reconciler.channels.message import Message
from reconciler.channels.opening import credentials_of, opened
from reconciler.channels.registry import CHANNELS
from reconciler.deps import Deps
from reconciler.errors import Bug, ReconcilerError, RetryLater
from reconciler.kinds.channel import ChannelSpec, settings_of
from reconciler.kinds.reading import read
from reconciler.sources.base import Key

log = structlog.get_logger()

HELD_BACK: Final = timedelta(minutes=5)
"""How long what a suspended channel has to send is left alone."""


class Delivery:
    """Delivers for the channels of one source. `wake` is told the channels whose figures changed."""

    def __init__(self, deps: Deps, wake: Callable[[Key], None]) -> None:
        self._deps, self._wake = deps, wake
        self._resent: dict[Key, datetime] = {}

    async def round(self) -> int:
        """Deliver what is due now, each channel by itself; how many messages were looked at."""
        waiting = await outbox.claim(self._deps.db, self._deps.source_name, self._deps.now())
        by_channel: defaultdict[Key, list[Waiting]] = defaultdict(list)
        for each in waiting:
            by_channel[Key("Channel", each.namespace, each.channel)].append(each)
        await asyncio.gather(*(self._serve(key, each) for key, each in by_channel.items()))
        await outbox.give_up(self._deps.db, self._deps.now(), GIVEN_UP_AFTER)
        return len(waiting)

    async def _serve(self, key: Key, waiting: Sequence[Waiting]) -> None:
        try:
            spec = await channel_of(key, self._deps)
            ready = [each for each in waiting if await self._may_go(key, spec, each)]
            for batch in await self._batches(spec, key, ready):
                if not await self._deliver(key, spec, batch):
                    break
        except ReconcilerError as error:
            for each in waiting:
                await self._failed(each, error)
        finally:
            self._wake(key)

    async def _may_go(self, key: Key, spec: ChannelSpec, waiting: Waiting) -> bool:
        """Whether the channel's terms let the message out now; one that they do not is put off or dropped."""
        now, severity = self._deps.now(), waiting.severity
        if waiting.what == "test":
            return True
        if spec.suspend:
            await outbox.postpone(self._deps.db, waiting, now + HELD_BACK, None, tried=False)
            return False
        if not spec.wants(severity):  # type: ignore[arg-type]  # severities are checked where alerts are read
            await outbox.finish(self._deps.db, waiting, "Skipped", now, error=f"below {spec.minimum_severity}")
            return False
        quiet = quiet_until(spec.quiet_hours, severity, now) if spec.quiet_hours is not None else None  # type: ignore[arg-type]
        gathered = waiting.created_at + spec.digest.wait if spec.digest is not None else now
        until = max(quiet or now, gathered)
        if until > now:
            await outbox.postpone(self._deps.db, waiting, until, None, tried=False)
        return until <= now

    async def _batches(self, spec: ChannelSpec, key: Key, ready: Sequence[Waiting]) -> list[list[Waiting]]:
        """What goes out together, and no more of it than the rate limit lets out; the rest waits."""
        size = spec.digest.most if spec.digest is not None and CHANNELS[spec.type].traits.batches else 1
        batches = [list(ready[at : at + size]) for at in range(0, len(ready), size)]
        if spec.rate_limit is None:
            return batches
        since = self._deps.now() - spec.rate_limit.per
        sent = await outbox.sent_since(self._deps.db, key.namespace, key.name, since)
        free = max(0, spec.rate_limit.messages - len(sent))
        for each in (each for batch in batches[free:] for each in batch):
            again = min(sent, default=self._deps.now()) + spec.rate_limit.per
            await outbox.postpone(self._deps.db, each, max(again, self._deps.now()), None, tried=False)
        return batches[:free]

    async def _deliver(self, key: Key, spec: ChannelSpec, batch: Sequence[Waiting]) -> bool:
        """Send one message or digest, and note what became of it; false when the receiver cannot be used now."""
        now = self._deps.now()
        try:
            receipt = await send(key, spec, [_composed(each, now) for each in batch], self._deps)
        except ReconcilerError as error:
            for each in batch:
                await self._failed(each, error)
            return not isinstance(error, RetryLater)
        for each in batch:
            await outbox.finish(self._deps.db, each, "Delivered", self._deps.now(), receipt=receipt.id or receipt.text)
        log.info("delivered", channel=str(key), messages=len(batch))
        return True

    async def _failed(self, waiting: Waiting, error: ReconcilerError) -> None:
        """Try again later, or give up after a day; what nobody could deliver is kept and shown."""
        now = self._deps.now()
        log.warning("not delivered", channel=waiting.channel, reason=error.reason, error=str(error))
        if now - waiting.created_at >= GIVEN_UP_AFTER:
            await outbox.finish(self._deps.db, waiting, "Dead", now, error=str(error))
            return
        at_least = error.after if isinstance(error, RetryLater) else None
        await outbox.postpone(self._deps.db, waiting, next_try(waiting.attempts, now, at_least), str(error))

    async def resend(self, key: Key) -> None:
        """Send what still fires again, to a receiver that forgets it otherwise."""
        now = self._deps.now()
        try:
            spec = await channel_of(key, self._deps)
            every = CHANNELS[spec.type].traits.resend_every
            if every is None or spec.suspend or now - self._resent.get(key, now - every) < every:
                return
            self._resent[key] = now
            facts = await outbox.firing(self._deps.db, key.namespace, key.name, now)
            wanted = [message(each["key"], each) for each in facts if spec.wants(each["severity"])]
            if wanted:
                await send(key, spec, wanted, self._deps)
        except ReconcilerError as error:
            log.warning("what fires could not be sent again", channel=str(key), error=str(error))


async def channel_of(key: Key, deps: Deps) -> ChannelSpec:
    """The channel's spec as it is now. Raises RetryLater when it is gone, InvalidSpec when it is wrong."""
    resource = await deps.source.get(key)
    if resource is None or resource.deleting:
        raise RetryLater(f"the Channel {key.name} is gone", reason="ChannelNotFound")
    spec = read(deps.kinds["Channel"], resource.spec)
    assert isinstance(spec, ChannelSpec)
    return spec


async def credentials_for(spec: ChannelSpec, namespace: str, deps: Deps) -> Credentials:
    """What the channel's Secret holds for it. Raises NeedsPerson when something is missing."""
    reference = spec.secret_ref
    values = {} if reference is None else await deps.source.read_secret(namespace, reference.name)
    key = None if reference is None else reference.key
    return credentials_of(CHANNELS[spec.type], settings_of(spec), values, key)


async def send(key: Key, spec: ChannelSpec, messages: Sequence[Message], deps: Deps) -> Receipt:
    """Send the messages, several as one digest where the receiver can take them so. Raises ReconcilerError."""
    credentials = await credentials_for(spec, key.namespace, deps)
    try:
        async with opened(
            CHANNELS[spec.type], settings_of(spec), credentials, policy=deps.egress, clock=deps.clock
        ) as channel:
            return await channel.send(messages)
    except ReconcilerError:
        raise
    except Exception as error:  # a fault of one channel must not keep the others' messages
        log.exception("a channel failed unexpectedly", channel=str(key))
        raise Bug(f"{type(error).__name__} while delivering") from error


def _composed(waiting: Waiting, now: datetime) -> Message:
    return test_message(waiting, now) if waiting.message is None else message(waiting.key, waiting.message)
