"""What is remembered of each object, in memory only: enough to tell news from the echo of one's own writes."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from sys import intern
from typing import Any

from reconciler.sources.base import REQUESTED_AT, TEST_AT, Key
from reconciler.sources.kubernetes.call import Object

_ECHOES = 4


@dataclass(slots=True)
class Note:
    """One object. `mark` is what a reconcile depends on; `version` and `status` are as last read or written.

    `vendor` is a Provider's type while it may be synced, `written` the last versions that are one's own.
    """

    uid: str
    mark: tuple[Any, ...]
    secret: str | None
    version: str
    status: int
    vendor: str | None = None
    written: tuple[str, ...] = ()
    writing: int = 0

    def wrote(self, version: str) -> None:
        """Note a version that is one's own."""
        self.version = version
        self.written = (*self.written, version)[-_ECHOES:]


class Notebook:
    """Notes by key, and which keys name which Secret."""

    def __init__(self) -> None:
        self._notes: dict[Key, Note] = {}
        self._users: dict[tuple[str, str], set[Key]] = defaultdict(set)

    def __len__(self) -> int:
        return len(self._notes)

    def __getitem__(self, key: Key) -> Note | None:
        return self._notes.get(key)

    def __iter__(self) -> Iterator[Key]:
        return iter(tuple(self._notes))

    def users(self, namespace: str, secret: str) -> Iterator[Key]:
        """The resources that name a Secret."""
        return iter(tuple(self._users.get((namespace, secret), ())))

    def heard(self, key: Key, found: Object) -> bool:
        """Note an object that the watch showed; says whether there is anything to reconcile."""
        before, mark = self._notes.get(key), _mark(found)
        if before is None or before.mark != mark:
            self.note(key, found)
            return True
        if before.writing or found["metadata"]["resourceVersion"] in before.written:
            return False  # the echo of a write of one's own
        return before.status != self.note(key, found).status

    def note(self, key: Key, found: Object) -> Note:
        """Note an object as it was just read or written."""
        before = self._notes.get(key)
        meta = found["metadata"]
        status = digest(found.get("status", {}))
        fresh = Note(meta["uid"], _mark(found), _secret(found), meta["resourceVersion"], status, _vendor(key, found))
        if before is not None and before.uid == fresh.uid:
            fresh.written, fresh.writing = before.written, before.writing
            if before.writing:
                fresh.status = before.status
        self._index(key, before, fresh)
        self._notes[key] = fresh
        return fresh

    def forget(self, key: Key) -> None:
        """The object is gone."""
        before = self._notes.pop(key, None)
        if before is not None and before.secret is not None:
            self._drop_user(key, before.secret)

    def _index(self, key: Key, before: Note | None, after: Note) -> None:
        if before is not None and before.secret == after.secret:
            return
        if before is not None and before.secret is not None:
            self._drop_user(key, before.secret)
        if after.secret is not None:
            self._users[key.namespace, after.secret].add(key)

    def _drop_user(self, key: Key, secret: str) -> None:
        users = self._users.get((key.namespace, secret), set())
        users.discard(key)
        if not users:
            self._users.pop((key.namespace, secret), None)


def digest(status: Mapping[str, Any]) -> int:
    """A short stand-in for a status."""
    return hash(json.dumps(status, sort_keys=True))


def _mark(found: Object) -> tuple[Any, ...]:
    """Everything of an object that its reconcile depends on, its status aside."""
    meta = found["metadata"]
    labels = tuple(sorted((meta.get("labels") or {}).items()))
    annotations = meta.get("annotations") or {}
    requested = tuple(annotations.get(name) for name in (REQUESTED_AT, TEST_AT))
    return meta["uid"], meta["generation"], requested, "deletionTimestamp" in meta, hash(labels)


def _secret(found: Object) -> str | None:
    reference = found.get("spec", {}).get("secretRef") or {}
    name = reference.get("name")
    return str(name) if name else None


def _vendor(key: Key, found: Object) -> str | None:
    spec = found.get("spec", {})
    if key.kind != "Provider" or spec.get("suspend") or "deletionTimestamp" in found["metadata"]:
        return None
    return intern(str(spec.get("type", "")))
