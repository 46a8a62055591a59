"""API tokens: made, listed and revoked by administrators, looked up by whoever is shown one.

A token reads `costhook_ID_SECRET`. The ledger keeps the id, by which people name it, and a hash of the secret; the
secret itself is shown once.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import text

from ledger import audit
from ledger.database import ReaderDB, WriterDB
from ledger.errors import NotFound

PREFIX: Final = "costhook_"
"""How tokens begin, so that scanners for leaked secrets know them."""
USE_NOTED: Final = timedelta(minutes=5)
"""The time of the last use is at most this much off, so that not every request writes."""

_TOKEN: Final = re.compile(r"costhook_([0-9a-f]{12})_([0-9a-f]{64})", re.ASCII)
_NOBODY: Final = bytes(32)

_COLUMNS = "id, name, scopes, namespaces, created_at, expires_at, revoked_at, last_used_at"
_CREATE = text("""
    insert into api_token (id, name, digest, scopes, namespaces, created_at, expires_at)
    values (:id, :name, :digest, :scopes, :namespaces, :now, :expires_at)
""")
_LIST = text(f"select {_COLUMNS} from api_token order by created_at, id")
_REVOKE = text("""
    update api_token set revoked_at = coalesce(revoked_at, :now) where id = :id returning id
""")
_NAME = text("select set_config('costhook.token', :id, true)")
_FIND = text(f"select {_COLUMNS}, digest from api_token where id = :id")
_USED = text("""
    update api_token set last_used_at = :now
    where id = :id and (last_used_at is null or last_used_at < cast(:before as timestamptz))
""")


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token. `namespaces` of None means all of them."""

    id: str
    name: str
    scopes: frozenset[str]
    namespaces: frozenset[str] | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    def is_good(self, now: datetime) -> bool:
        """Whether it opens anything at `now`."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


async def create(
    db: WriterDB,
    name: str,
    scopes: Collection[str],
    namespaces: Collection[str] | None,
    now: datetime,
    *,
    expires_at: datetime | None = None,
    by: str = "local",
) -> str:
    """Make a token, which the audit log tells; returns it whole, for the only time."""
    token_id, secret = secrets.token_hex(6), secrets.token_hex(32)
    values = {
        "id": token_id,
        "name": name,
        "digest": _digest(secret),
        "scopes": sorted(scopes),
        "namespaces": None if namespaces is None else sorted(namespaces),
        "now": now,
        "expires_at": expires_at,
    }
    detail = {name: values[name] for name in ("name", "scopes", "namespaces")}
    async with db.transaction() as connection:
        await connection.execute(_CREATE, values)
        await audit.write(connection, _entry(now, by, "createToken", token_id, detail))
    return f"{PREFIX}{token_id}_{secret}"


async def every(db: WriterDB) -> Sequence[Token]:
    """Every token ever made, oldest first."""
    async with db.transaction() as connection:
        return [_token(row) for row in await connection.execute(_LIST)]


async def revoke(db: WriterDB, token_id: str, now: datetime, *, by: str = "local") -> None:
    """Make the token open nothing any more, which the audit log tells. Raises NotFound."""
    async with db.transaction() as connection:
        if (await connection.execute(_REVOKE, {"id": token_id, "now": now})).scalar() is None:
            raise NotFound(f"there is no token {token_id}; `costhook token list` shows them")
        await audit.write(connection, _entry(now, by, "revokeToken", token_id, {}))


async def find(db: ReaderDB, presented: str, now: datetime) -> Token | None:
    """The token that was presented, when it is one and its secret is right; whether it still opens is for `is_good`.

    A wrong secret and an unknown id take the same time.
    """
    match = _TOKEN.fullmatch(presented)
    if match is None:
        return None
    token_id, secret = match.groups()
    async with db.transaction(()) as connection:
        await connection.execute(_NAME, {"id": token_id})
        row = (await connection.execute(_FIND, {"id": token_id})).first()
        if not hmac.compare_digest(_digest(secret), _NOBODY if row is None else row.digest) or row is None:
            return None
        await connection.execute(_USED, {"id": token_id, "now": now, "before": now - USE_NOTED})
        return _token(row)


def _entry(now: datetime, by: str, action: str, token_id: str, detail: Mapping[str, Any]) -> audit.Entry:
    return audit.Entry(at=now, actor=by, actor_kind="local", action=action, subject=token_id, detail=detail)


def _digest(secret: str) -> bytes:
    return sha256(secret.encode()).digest()


def _token(row: Any) -> Token:
    return Token(
        id=row.id,
        name=row.name,
        scopes=frozenset(row.scopes),
        namespaces=None if row.namespaces is None else frozenset(row.namespaces),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )
