"""Kubernetes as the one who knows callers: whose a bearer token is (TokenReview), and what they may see and do there
(SubjectAccessReview). So RBAC alone decides about teams and roles; answers are kept for a moment.

Facts: kubernetes.io/docs/reference/kubernetes-api/authentication-resources and .../authorization-resources.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final, NamedTuple

import structlog

from api.apiserver import ApiServer, NoAnswer, Reviews
from api.graphql.errors import Code
from api.graphql.http import Refusal
from api.principal import Principal, Scope
from ledger.database import ReaderDB
from ledger.reads.namespaces import namespaces

KEPT: Final = timedelta(seconds=15)
"""How long an answer holds; a right that is taken away is felt after this time at most."""
MOST_KEPT: Final = 1000
QUESTIONS: Final = 16
"""Questions that are asked at the same time for one caller."""
VIEWERS: Final[frozenset[Scope]] = frozenset({"read", "export", "metrics"})

log = structlog.get_logger("api")


class Right(NamedTuple):
    """What one may do to resources of a kind; Kubernetes' words for both."""

    verb: str
    resource: str


@dataclass(frozen=True, slots=True)
class _Caller:
    """Who a token belongs to, as a SubjectAccessReview wants it."""

    user: str
    groups: tuple[str, ...]
    uid: str | None
    extra: dict[str, Any]


class Cluster:
    """Asks one API server about callers."""

    def __init__(self, server: ApiServer, db: ReaderDB, clock: Callable[[], datetime]) -> None:
        self._server, self._db, self._clock = server, db, clock
        self._known: OrderedDict[bytes, tuple[datetime, Principal | None]] = OrderedDict()

    async def find(self, presented: str) -> Principal | None:
        """Whose the token is, and what they may see; None where the cluster does not know it. Raises Refusal."""
        key, now = sha256(presented.encode()).digest(), self._clock()
        held = self._known.get(key)
        if held is not None and held[0] > now:
            return held[1]
        try:
            async with self._server.asked() as reviews:
                caller = await _review(reviews, presented)
                found = None if caller is None else await self._principal(_Questions(reviews, caller))
        except NoAnswer as error:
            log.warning("the cluster cannot be asked about callers", error=str(error))
            raise Refusal(503, "The cluster cannot be asked who you are; try again soon.", Code.UNAVAILABLE) from None
        self._keep(key, now + KEPT, found)
        return found

    async def _principal(self, questions: _Questions) -> Principal:
        """What the caller may see is asked for every namespace that the ledger knows, unless it is all of them."""
        seen = await self._where(questions, Right("get", "providers"), None)
        synced = await self._where(questions, Right("patch", "providers"), seen)
        alerted = await self._where(questions, Right("patch", "alerts"), seen)
        granted: dict[Scope, frozenset[str] | None] = {"sync": synced, "alert": alerted}
        scopes = VIEWERS | {scope for scope, where in granted.items() if where != frozenset()}
        return Principal(questions.caller.user, "kubernetes", seen, frozenset(scopes), sync_in=synced, alert_in=alerted)

    async def _where(self, questions: _Questions, right: Right, within: Iterable[str] | None) -> frozenset[str] | None:
        """The namespaces in which the caller has the right; None for all of them."""
        if await questions.may(right, None):
            return None
        if within is None:
            async with self._db.transaction(None) as connection:
                within = await namespaces(connection)
        return await questions.among(right, list(within))

    def _keep(self, key: bytes, until: datetime, found: Principal | None) -> None:
        self._known[key] = until, found
        self._known.move_to_end(key)
        while len(self._known) > MOST_KEPT:
            self._known.popitem(last=False)


class _Questions:
    """What one caller may do, asked over one connection or a few."""

    def __init__(self, reviews: Reviews, caller: _Caller) -> None:
        self._reviews, self.caller = reviews, caller
        self._gate = asyncio.Semaphore(QUESTIONS)

    async def may(self, right: Right, namespace: str | None) -> bool:
        """Whether they have the right in the namespace; with None in all of them."""
        attributes = {"group": "costhook.io", "resource": right.resource, "verb": right.verb}
        spec = {
            "user": self.caller.user,
            "groups": list(self.caller.groups),
            "uid": self.caller.uid,
            "extra": self.caller.extra,
            "resourceAttributes": attributes | ({"namespace": namespace} if namespace is not None else {}),
        }
        async with self._gate:
            body = await self._reviews.create("authorization.k8s.io/v1", "SubjectAccessReview", spec)
        return body.get("allowed") is True

    async def among(self, right: Right, asked: Sequence[str]) -> frozenset[str]:
        """Those of the namespaces in which they have it."""
        answers = await asyncio.gather(*(self.may(right, namespace) for namespace in asked))
        return frozenset(namespace for namespace, allowed in zip(asked, answers, strict=True) if allowed)


async def _review(reviews: Reviews, presented: str) -> _Caller | None:
    body = await reviews.create("authentication.k8s.io/v1", "TokenReview", {"token": presented})
    if not body.get("authenticated"):
        return None
    user = body.get("user")
    if not isinstance(user, dict) or not isinstance(user.get("username"), str) or not user["username"]:
        raise NoAnswer("it does not say whose the token is")
    return _Caller(user["username"], tuple(user.get("groups") or ()), user.get("uid"), user.get("extra") or {})
