"""API tokens over HTTP: what opens, what does not, and what callers see and may do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from api.app import create_app
from api.server import listening
from ledger import tokens
from ledger.database import ReaderDB, WriterDB
from ledger.errors import NotFound
from tests.integration.api.conftest import NOW, Asker, settings
from tests.loopback import PLAIN

VIEWER = "{ viewer { name kind namespaces scopes } }"


@dataclass
class Door:
    """An API that asks for tokens, and the clock it goes by."""

    http: httpx.AsyncClient
    writer: WriterDB
    now: datetime = NOW

    async def token(
        self, namespaces: Collection[str] | None, *, scopes: Collection[str] = ("read",), **more: Any
    ) -> str:
        return await tokens.create(self.writer, "ci", scopes, namespaces, NOW, **more)

    async def ask(self, token: str, query: str = VIEWER, **variables: Any) -> httpx.Response:
        return await Asker(self.http).post(query, variables, authorization=f"Bearer {token}")


@pytest.fixture
async def door(reader: ReaderDB, writer: WriterDB) -> AsyncIterator[Door]:
    async with httpx.AsyncClient(timeout=20, verify=PLAIN) as http:
        made = Door(http, writer)
        app = create_app(settings(authentication=True, clock=lambda: made.now), reader)
        async with listening(app, "127.0.0.1", 0) as url:
            http.base_url = httpx.URL(url)
            yield made


async def test_a_token_opens_what_it_was_made_for(door: Door) -> None:
    """Namespaces and scopes are those that the token was made with; its name is told, its secret never again."""
    token = await door.token(["b", "a"], scopes=["read", "sync"])
    viewer = (await door.ask(token)).json()["data"]["viewer"]

    assert (viewer["kind"], viewer["namespaces"], viewer["scopes"]) == ("TOKEN", ["a", "b"], ["read", "sync"])
    assert token.split("_")[1] in viewer["name"]
    assert token.split("_")[2] not in viewer["name"]
    assert (await door.ask(await door.token(None))).json()["data"]["viewer"]["namespaces"] is None


async def test_tokens_that_open_nothing(door: Door) -> None:
    """Expired, revoked, with another secret, of an unknown id, cut short: all get the same 401."""
    good = await door.token(["a"], expires_at=NOW + timedelta(hours=1))
    prefix, token_id, secret = good.split("_")
    assert (await door.ask(good)).status_code == 200

    wrong = [
        f"{prefix}_{token_id}_{'0' * 64}",
        f"{prefix}_{'0' * 12}_{secret}",
        f"{prefix}_{token_id}_{secret[:-1]}",
        f"{prefix}_{token_id}_{secret}0",
        f"{prefix}_{token_id}",
        f"{prefix}_",
        f"{prefix}_{token_id.upper()}_{secret}" if token_id.upper() != token_id else f"{prefix}__",
    ]
    answers = [await door.ask(token) for token in wrong]
    door.now = NOW + timedelta(hours=1)
    answers.append(await door.ask(good))
    door.now = NOW
    await tokens.revoke(door.writer, token_id, NOW)
    answers.append(await door.ask(good))

    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1


async def test_secrets_are_neither_kept_nor_logged(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    """The database holds a hash, the log names the token by its id."""
    token = await door.token(["a"])
    secret = token.split("_")[2]
    await door.ask(token)
    await door.ask(token[:-1] + "x")
    async with door.writer.transaction() as connection:
        kept = str((await connection.execute(text("select * from api_token"))).all())

    assert secret not in kept
    assert bytes.fromhex(secret).hex() not in kept
    logged = capsys.readouterr().out
    assert token.split("_")[1] in logged
    assert secret[:-1] not in logged


async def test_the_last_use_is_noted_now_and_then(door: Door) -> None:
    """A token's last use is known to five minutes, so that not every request writes."""
    token = await door.token(["a"])

    async def used() -> datetime | None:
        [held] = [held for held in await tokens.every(door.writer) if held.id == token.split("_")[1]]
        return held.last_used_at

    assert await used() is None
    for minutes, noted in ((0, 0), (4, 0), (6, 6)):
        door.now = NOW + timedelta(minutes=minutes)
        await door.ask(token)
        assert await used() == NOW + timedelta(minutes=noted)


async def test_scopes_hold(door: Door) -> None:
    """Without the scope for it, nothing is read, synced or canceled."""
    scraper = await door.token(None, scopes=["metrics"])
    assert (await door.ask(scraper)).status_code == 403

    onlooker = await door.token(None)
    for mutation in ('syncProvider(namespace: "a", name: "b")', 'cancelSync(id: "x")'):
        answer = await door.ask(onlooker, f"mutation {{ {mutation} {{ __typename }} }}")
        assert answer.status_code == 403
        assert answer.json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_probes_prove_nothing(door: Door) -> None:
    """Health and readiness are told without a token; everything else asks for one, also what does not exist."""
    assert (await door.http.get("/healthz")).status_code == 200
    assert (await door.http.get("/readyz")).status_code == 200
    for path in ("/", "/graphql", "/nowhere", "/metrics", "/export/charges.csv", "/healthz/../graphql"):
        assert (await door.http.get(path)).status_code == 401, path


async def test_revoking_what_is_not_there(writer: WriterDB) -> None:
    """Revoking twice is fine; revoking an unknown token says how to find the known ones."""
    token_id = (await tokens.create(writer, "x", ["read"], None, NOW)).split("_")[1]
    await tokens.revoke(writer, token_id, NOW)
    await tokens.revoke(writer, token_id, NOW + timedelta(days=1))

    [held] = [held for held in await tokens.every(writer) if held.id == token_id]
    assert held.revoked_at == NOW
    with pytest.raises(NotFound, match="token list"):
        await tokens.revoke(writer, "nope", NOW)


async def test_readers_see_only_the_token_they_name(reader: ReaderDB, writer: WriterDB) -> None:
    """The API's own role cannot list tokens, nor change what one opens, nor read the audit log."""
    token_id = (await tokens.create(writer, "x", ["read"], ["a"], NOW)).split("_")[1]
    async with reader.transaction(None) as connection:
        assert (await connection.execute(text("select count(*) from api_token"))).scalar() == 0
        await connection.execute(text("select set_config('costhook.token', :id, true)"), {"id": token_id})
        assert (await connection.execute(text("select count(*) from api_token"))).scalar() == 1
    for forbidden in ("update api_token set namespaces = null", "delete from api_token", "select * from audit_entry"):
        with pytest.raises(Exception, match="permission denied"):
            await _run(reader, forbidden)


async def _run(reader: ReaderDB, statement: str) -> None:
    async with reader.transaction(None) as connection:
        await connection.execute(text(statement))
