"""The finalizer: on an object exactly while the object asks for its data to go with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from reconciler.kinds.catalogue import Kind
from reconciler.sources.base import Key
from reconciler.sources.kubernetes.access import Access
from reconciler.sources.kubernetes.api import Api
from reconciler.sources.kubernetes.call import Conflict, Gone, Object

FINALIZER: Final = "costhook.io/data"
"""Keeps a resource with `deletionPolicy: Delete` until its data is removed."""


def is_going(found: Object) -> bool:
    """Whether it was deleted and waits for its finalizers."""
    return "deletionTimestamp" in found["metadata"]


def is_held(found: Object) -> bool:
    return FINALIZER in (found["metadata"].get("finalizers") or ())


def is_rightly_held(found: Object) -> bool:
    """Whether our finalizer is there or not, as it should be."""
    return is_going(found) or is_held(found) == (found.get("spec", {}).get("deletionPolicy") == "Delete")


async def change(api: Api, key: Key, found: Object, *, held: bool) -> Object | None:
    """The object with our finalizer or without; as it is now where another writer was first; None when it is gone."""
    others = [name for name in found["metadata"].get("finalizers") or () if name != FINALIZER]
    wanted = {"op": "add", "path": "/metadata/finalizers", "value": [*others, *([FINALIZER] if held else [])]}
    try:
        return await api.patch(key, found["metadata"]["resourceVersion"], [wanted])
    except Conflict:
        return await api.read(key)
    except Gone:
        return None


async def let_go(api: Api, key: Key) -> bool:
    """Take our finalizer away; whether it was there."""
    found = await api.read(key)
    was_held = found is not None and is_held(found)
    while found is not None and is_held(found):
        found = await change(api, key, found, held=False)
    return was_held


async def released(access: Access, known: Mapping[str, Kind]) -> list[Key]:
    """Take our finalizer off everything in scope; what it was taken off. Nothing may reconcile meanwhile."""
    plurals = {name: kind.plural for name, kind in known.items()}
    found: list[Key] = []
    async with Api(access, plurals) as api:
        for kind in plurals:
            for namespace in access.namespaces or (None,):
                try:
                    keys = await api.names(kind, namespace)
                except Gone:
                    continue  # the cluster does not even know the kind
                found += [key for key in keys if await let_go(api, key)]
    return found
