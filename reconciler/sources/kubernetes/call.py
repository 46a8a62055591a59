"""One call to the API server, by the generic half of `kubernetes.aio`, with errors that say what to do.

The half that is generated from the API's description is left alone: it takes seconds to import, and 30 MB.
A credential that is refused is read anew once. Conflicts and missing objects are told apart, what may pass by
itself is RetryLater, and what a role lacks is NeedsPerson.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
from kubernetes.aio.client import ApiClient

from reconciler.errors import NeedsPerson, ReconcilerError, RetryLater
from reconciler.sources.kubernetes.access import REQUEST_SECONDS, Access

JSON: Final = "application/json"
JSON_PATCH: Final = "application/json-patch+json"
MERGE_PATCH: Final = "application/merge-patch+json"

Object = dict[str, Any]


class Conflict(ReconcilerError):
    """Somebody else changed the object since it was read, or made one of this name."""

    reason = "Conflict"


class Gone(ReconcilerError):
    """The object does not exist, or no longer."""

    reason = "NotFound"


class Forbidden(NeedsPerson):
    """The role that Costhook runs with does not allow the call."""

    reason = "ClusterForbidden"


class ClusterUnavailable(RetryLater):
    """The API server cannot be reached, or cannot answer now."""

    reason = "ClusterUnavailable"


Count = Callable[[str, int], None]
"""Told the method and the status of every call; the status is 0 where there was no answer."""


def uncounted(_method: str, _status: int) -> None:
    """For callers whose calls nobody counts."""


class Caller:
    """Calls one cluster's API server. Use it as an async context manager."""

    def __init__(self, access: Access, count: Count = uncounted) -> None:
        self._access, self._count = access, count
        self._client: ApiClient | None = None

    async def __aenter__(self) -> Self:
        self._client = ApiClient(await self._access.load())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def call(
        self,
        what: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        form: str = JSON,
    ) -> Object:
        """The answer; `what` is said in errors. Raises Conflict, Gone, Forbidden, ClusterUnavailable, NeedsPerson."""
        for attempt in (1, 2):
            client = self._client
            assert client is not None
            try:
                status, text = await _send(client, method, path, query or {}, body, form)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                self._count(method, 0)
                said = str(error) or type(error).__name__
                raise ClusterUnavailable(f"the API server cannot be reached to {what}: {said}") from None
            self._count(method, status)
            if status == 401 and attempt == 1:
                await self._renew(client)
                continue
            if status >= 400:
                raise _refused(what, status, text)
            return _read(what, text)
        raise AssertionError("unreachable")

    async def _renew(self, refused: ApiClient) -> None:
        """Read the credential anew, unless another task has since."""
        fresh = ApiClient(await self._access.load())
        if self._client is refused:
            self._client, fresh = fresh, refused
        await fresh.close()


async def _send(
    client: ApiClient, method: str, path: str, query: Mapping[str, str], body: object, form: str
) -> tuple[int, bytes]:
    request = await client.param_serialize(
        method,
        path,
        query_params=list(query.items()),
        header_params={"Accept": JSON, "Content-Type": form, "User-Agent": "costhook"},
        body=body,
        auth_settings=["BearerToken"],
    )
    answer = await client.call_api(*request, _request_timeout=REQUEST_SECONDS)
    return answer.status, await answer.read()


def _read(what: str, text: bytes) -> Object:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ClusterUnavailable(f"something that is no API server answered when asked to {what}")
    return found


def _refused(what: str, status: int, text: bytes) -> ReconcilerError:
    match status:
        case 404:
            return Gone(f"there is nothing to {what}")
        case 409:
            return Conflict(f"another writer was first to {what}")
        case 403:
            return Forbidden(f"the API server does not allow Costhook to {what}; give its role that right")
        case 401:
            return ClusterUnavailable("the API server refuses Costhook's credential")
        case 429 | 500 | 502 | 503 | 504:
            return ClusterUnavailable(f"the API server cannot {what} now: status {status}")
    return NeedsPerson(f"the API server refuses to {what}: {_message(text)} ({status})", reason="ClusterRefused")


def _message(text: bytes) -> str:
    try:
        return str(json.loads(text)["message"])[:500]
    except (ValueError, KeyError, TypeError):
        return "it does not say why"
