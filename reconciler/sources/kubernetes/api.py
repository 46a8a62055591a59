"""The calls that Costhook makes to the API server, each as one method."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import quote

from reconciler.sources.base import Key
from reconciler.sources.kubernetes.access import Access
from reconciler.sources.kubernetes.call import (
    JSON_PATCH,
    MERGE_PATCH,
    Caller,
    Count,
    Forbidden,
    Gone,
    Object,
    uncounted,
)

GROUP: Final = "costhook.io"
VERSION: Final = "v1alpha1"
PAGE: Final = "500"
WATCHED_SECRETS: Final = "costhook.io/watch=true"
"""Secrets with this label are watched; all others are read when they are needed."""


class Api(Caller):
    """A client of one cluster. `plurals` names the resource of each kind."""

    def __init__(self, access: Access, plurals: Mapping[str, str], count: Count = uncounted) -> None:
        super().__init__(access, count)
        self._plurals = plurals

    async def read(self, key: Key) -> Object | None:
        """The object as it is now; None when there is none."""
        try:
            return await self.call(f"read the {key}", "GET", self._path(key))
        except Gone:
            return None

    async def patch(self, key: Key, version: str, changes: Sequence[Object], *, status: bool = False) -> Object:
        """Change the object by JSON patches if it still has the resourceVersion `version`. Raises Conflict, Gone."""
        checked = [{"op": "replace", "path": "/metadata/resourceVersion", "value": version}, *changes]
        path = self._path(key) + ("/status" if status else "")
        return await self.call(f"change the {key}", "PATCH", path, body=checked, form=JSON_PATCH)

    async def names(self, kind: str, namespace: str | None) -> list[Key]:
        """Every object of a kind that there is now, in one namespace or in all."""
        plural = self._plurals[kind]
        within = f"/namespaces/{namespace}" if namespace is not None else ""
        found: list[Key] = []
        query = {"limit": PAGE}
        while True:
            page = await self.call(f"list {plural}", "GET", f"/apis/{GROUP}/{VERSION}{within}/{plural}", query=query)
            found += [Key(kind, each["metadata"]["namespace"], each["metadata"]["name"]) for each in page["items"]]
            following = page["metadata"].get("continue")
            if not following:
                return found
            query = {"limit": PAGE, "continue": following}

    async def secret(self, namespace: str, name: str) -> dict[str, str]:
        """The text values of a Secret. Raises Gone."""
        path = f"/api/v1/namespaces/{namespace}/secrets/{quote(name, safe='')}"
        found = await self.call(f"read the Secret {name} in namespace {namespace}", "GET", path)
        return {key: text for key, value in (found.get("data") or {}).items() if (text := _text(value)) is not None}

    async def may_watch_secrets(self, namespace: str | None) -> bool:
        """Whether Secrets with the label for it may be listed, and so watched."""
        within = f"/namespaces/{namespace}" if namespace is not None else ""
        query = {"limit": "1", "labelSelector": WATCHED_SECRETS}
        try:
            await self.call("list Secrets", "GET", f"/api/v1{within}/secrets", query=query)
        except Forbidden:
            return False
        return True

    async def create_event(self, namespace: str, body: Object) -> None:
        await self.call(f"record an event in {namespace}", "POST", f"/api/v1/namespaces/{namespace}/events", body=body)

    async def patch_event(self, namespace: str, name: str, body: Object) -> None:
        path = f"/api/v1/namespaces/{namespace}/events/{name}"
        await self.call(f"count an event in {namespace}", "PATCH", path, body=body, form=MERGE_PATCH)

    def _path(self, key: Key) -> str:
        plural, name = self._plurals[key.kind], quote(key.name, safe="")
        return f"/apis/{GROUP}/{VERSION}/namespaces/{key.namespace}/{plural}/{name}"


def _text(value: str) -> str | None:
    try:
        return base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
