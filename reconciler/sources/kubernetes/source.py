"""The source protocol over a cluster."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Self

import structlog

from reconciler.errors import NeedsPerson, ReconcilerError
from reconciler.kinds.catalogue import Kind
from reconciler.sources.base import Event, Key, Resource, SecretMissing
from reconciler.sources.kubernetes import holding
from reconciler.sources.kubernetes.access import Access
from reconciler.sources.kubernetes.api import Api
from reconciler.sources.kubernetes.call import ClusterUnavailable, Conflict, Count, Forbidden, Gone, Object, uncounted
from reconciler.sources.kubernetes.events import Recorder
from reconciler.sources.kubernetes.notebook import Notebook, digest
from reconciler.sources.kubernetes.watch import Watch

log = structlog.get_logger()

TRIES: Final = 6
"""How often a write is tried when others write to the same object at the same time."""


class SecretForbidden(SecretMissing):
    """The role that Costhook runs with may not read the Secret."""

    reason = "SecretForbidden"


class KubernetesSource:
    """Resources of a cluster. Use it as an async context manager; it watches in between. `instance` names us."""

    def __init__(
        self,
        access: Access,
        known: Mapping[str, Kind],
        *,
        clock: Callable[[], datetime],
        instance: str,
        count: Count = uncounted,
    ) -> None:
        plurals = {name: kind.plural for name, kind in known.items()}
        self._access, self._api = access, Api(access, plurals, count)
        self._kinds = tuple(plurals)
        self._notes = Notebook()
        self._news: asyncio.Queue[Key] = asyncio.Queue()
        self._recorder = Recorder(self._api, clock, instance)
        self._watch = Watch(access, plurals, self._hear, self._listed)
        self._ended: asyncio.Future[None] | None = None
        self._takings: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Make sure that the cluster has our kinds and lets us see them, then watch. Raises ReconcilerError."""
        await self._api.__aenter__()
        try:
            secrets = await self._check()
        except BaseException:
            await self._api.__aexit__(None, None, None)
            raise
        self._ended = self._watch.start(secrets=secrets)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for taking in self._takings:
            taking.cancel()
        await self._watch.stop()
        await self._api.__aexit__(kind, error, trace)

    async def changes(self) -> AsyncIterator[Key]:
        """Every key, then each that changed, went, or whose Secret changed. Ends with the watch, by its error."""
        assert self._ended is not None
        while True:
            news = asyncio.ensure_future(self._news.get())
            try:
                await asyncio.wait((news, self._ended), return_when=asyncio.FIRST_COMPLETED)
                if not news.done():
                    self._ended.result()
                    return
                yield news.result()
            finally:
                news.cancel()

    async def get(self, key: Key) -> Resource | None:
        """The resource as it is now. One whose data is to go with it is held back here, before any is written."""
        found = await self._api.read(key)
        if found is not None:
            found = await self._guard(key, found)
        if found is None:
            self._notes.forget(key)
            return None
        self._notes.note(key, found)
        return resource(key, found)

    def vendor(self, key: Key) -> str | None:
        """As the watch or the last look had it."""
        note = self._notes[key]
        return None if note is None else note.vendor

    def unreadable(self, place: str | None) -> bool:
        """Never: an API server answers, or it does not and `get` raises."""
        return False

    async def read_secret(self, namespace: str, name: str) -> Mapping[str, str]:
        try:
            return await self._api.secret(namespace, name)
        except Gone:
            raise SecretMissing(f"there is no Secret {name} in namespace {namespace}") from None
        except Forbidden as error:
            raise SecretForbidden(str(error)) from None

    async def write_status(self, key: Key, status: Mapping[str, Any]) -> None:
        """Replace the status whole, as long as the object is the one that was reconciled."""
        note = self._notes[key]
        if note is None:
            return
        uid, version, before = note.uid, note.version, note.status
        note.status, note.writing = digest(status), note.writing + 1
        try:
            written = await self._write(key, uid, version, [{"op": "add", "path": "/status", "value": status}])
        except ReconcilerError:
            note.status = before
            raise
        finally:
            note.writing -= 1
        self._wrote(key, written)

    async def record_event(self, key: Key, event: Event) -> None:
        """Tell the event; one that cannot be told is logged, for nothing depends on it."""
        note = self._notes[key]
        if note is None:
            return
        try:
            await self._recorder.record(key, note.uid, event)
        except ReconcilerError as error:
            log.warning("event not recorded", key=str(key), reason=event.reason, error=str(error))

    async def release(self, key: Key) -> None:
        """Its data is gone: take our finalizer away."""
        await holding.let_go(self._api, key)

    @property
    def watching(self) -> bool:
        """Whether changes are noticed by now."""
        return self._watch.watching

    def begun(self) -> Mapping[tuple[str, str], float]:
        """When each watch was last begun, in seconds since the epoch, by kind and namespace (empty for all)."""
        return self._watch.begun()

    async def trouble(self) -> str | None:
        """Why the source is not to be relied on; None while it is."""
        return await self._watch.trouble()

    async def _check(self) -> bool:
        """Whether labelled Secrets can be watched, too."""
        scope = self._access.namespaces[0] if self._access.namespaces else None
        for kind in self._kinds:
            try:
                await self._api.names(kind, scope)
            except Gone:
                raise NeedsPerson(
                    f"the cluster does not know the kind {kind}; `kubectl apply --server-side -f crds/`, or install "
                    "the chart, which brings the CRDs",
                    reason="NoKinds",
                ) from None
        secrets = await self._api.may_watch_secrets(scope)
        if not secrets:
            log.warning("may not list Secrets; one that changes is noticed at the next sync of what names it")
        return secrets

    def _hear(self, type_: str | None, kind: str, found: Object) -> None:
        meta = found["metadata"]
        if kind == "Secret":
            for key in self._notes.users(meta["namespace"], meta["name"]):
                self._news.put_nowait(key)
            return
        key = Key(kind, meta["namespace"], meta["name"])
        if type_ == "DELETED":
            self._notes.forget(key)
            self._news.put_nowait(key)
        elif self._notes.heard(key, found):
            self._news.put_nowait(key)

    def _listed(self, kind: str, namespace: str | None) -> None:
        """The watch had a gap: look for what went unseen meanwhile."""
        taking = asyncio.ensure_future(self._take_stock(kind, namespace))
        self._takings.add(taking)
        taking.add_done_callback(self._takings.discard)

    async def _take_stock(self, kind: str, namespace: str | None) -> None:
        known = {key for key in self._notes if key.kind == kind and namespace in (None, key.namespace)}
        for wait in (0.0, 1.0, 5.0, 30.0):
            await asyncio.sleep(wait)
            try:
                there = set(await self._api.names(kind, namespace))
            except ClusterUnavailable:
                continue
            for key in known - there:
                self._news.put_nowait(key)
            return

    async def _guard(self, key: Key, found: Object | None) -> Object | None:
        while found is not None and not holding.is_rightly_held(found):
            found = await holding.change(self._api, key, found, held=not holding.is_held(found))
        return found

    async def _write(self, key: Key, uid: str, version: str, changes: list[Object]) -> Object | None:
        """Write the status, against other writers; None when the object went, or another took its name."""
        for _ in range(TRIES):
            try:
                return await self._api.patch(key, version, changes, status=True)
            except Gone:
                return None
            except Conflict:
                found = await self._api.read(key)
                if found is None or found["metadata"]["uid"] != uid:
                    return None
                version = found["metadata"]["resourceVersion"]
        raise ClusterUnavailable(f"other writers keep changing the {key}; its status is written when they let go")

    def _wrote(self, key: Key, written: Object | None) -> None:
        note = self._notes[key]
        if written is not None and note is not None and note.uid == written["metadata"]["uid"]:
            note.wrote(written["metadata"]["resourceVersion"])


def resource(key: Key, found: Object) -> Resource:
    """An object as the reconcile functions know it."""
    meta = found["metadata"]
    return Resource(
        key=key,
        uid=meta["uid"],
        generation=meta["generation"],
        spec=found.get("spec") or {},
        labels=meta.get("labels") or {},
        annotations=meta.get("annotations") or {},
        deleting=holding.is_going(found),
        status=found.get("status") or {},
    )
