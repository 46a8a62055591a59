"""Events beside resources: each told once, counted up when it comes again soon, and never too many of one resource.

The same bounds that client-go's recorder has: a burst of 25 for each resource, then one in five minutes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from reconciler.sources.base import API_VERSION, Event, Key
from reconciler.sources.kubernetes.api import Api
from reconciler.sources.kubernetes.call import Gone

COMPONENT: Final = "costhook"
SAME: Final = timedelta(minutes=10)
"""An event that comes again within this time is counted and not told anew."""
BURST: Final = 25
REFILL: Final = timedelta(minutes=5)
REMEMBERED: Final = 4096
MAX_MESSAGE: Final = 1024


@dataclass(frozen=True, slots=True)
class _Told:
    """An event object: its name, how often it was told, and when last."""

    name: str
    count: int
    last: datetime


@dataclass(frozen=True, slots=True)
class _Bucket:
    """How many events of a resource may be told, as of a time."""

    tokens: float
    at: datetime

    def refilled(self, now: datetime) -> _Bucket:
        return _Bucket(min(BURST, self.tokens + (now - self.at) / REFILL), now)


class Recorder:
    """Tells events. `instance` names this process; what it remembers is bounded and lost at its end."""

    def __init__(self, api: Api, clock: Callable[[], datetime], instance: str) -> None:
        self._api, self._clock, self._instance = api, clock, instance
        self._told: OrderedDict[tuple[str, Event], _Told] = OrderedDict()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    async def record(self, key: Key, uid: str, event: Event) -> None:
        """Tell the event beside the resource, unless too many were told of it lately."""
        now = self._clock()
        before = self._told.get((uid, event))
        if before is not None and now - before.last < SAME:
            await self._count_up(key, uid, event, before, now)
        elif self._may_tell(uid, now):
            told = _Told(f"{key.name[:200]}.{uuid4().hex[:16]}", 1, now)
            await self._api.create_event(key.namespace, self._body(key, uid, event, told))
            self._remember(uid, event, told)

    async def _count_up(self, key: Key, uid: str, event: Event, before: _Told, now: datetime) -> None:
        told = _Told(before.name, before.count + 1, now)
        try:
            body = {"count": told.count, "lastTimestamp": _moment(now)}
            await self._api.patch_event(key.namespace, told.name, body)
        except Gone:
            await self._api.create_event(key.namespace, self._body(key, uid, event, told))
        self._remember(uid, event, told)

    def _body(self, key: Key, uid: str, event: Event, told: _Told) -> dict[str, Any]:
        about = {
            "apiVersion": API_VERSION,
            "kind": key.kind,
            "namespace": key.namespace,
            "name": key.name,
            "uid": uid,
        }
        return {
            "metadata": {"name": told.name, "namespace": key.namespace},
            "involvedObject": about,
            "type": event.type,
            "reason": event.reason,
            "message": event.message[:MAX_MESSAGE],
            "count": told.count,
            "firstTimestamp": _moment(told.last),
            "lastTimestamp": _moment(told.last),
            "source": {"component": COMPONENT},
            "reportingComponent": f"costhook.io/{COMPONENT}",
            "reportingInstance": self._instance,
        }

    def _may_tell(self, uid: str, now: datetime) -> bool:
        bucket = self._buckets.pop(uid, _Bucket(BURST, now)).refilled(now)
        allowed = bucket.tokens >= 1
        self._buckets[uid] = replace(bucket, tokens=bucket.tokens - 1) if allowed else bucket
        _bound(self._buckets)
        return allowed

    def _remember(self, uid: str, event: Event, told: _Told) -> None:
        self._told.pop((uid, event), None)
        self._told[uid, event] = told
        _bound(self._told)


def _bound(remembered: OrderedDict[Any, Any]) -> None:
    while len(remembered) > REMEMBERED:
        remembered.popitem(last=False)


def _moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
