"""API tokens by the command, an API that asks for them, and what the audit log tells of it all."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from ledger.database import connect_owner
from tests.integration.command.conftest import MANUAL, Answer, Call, Process
from tests.loopback import PLAIN

QUERY = {"query": "{ providers { edges { node { namespace name } } } }"}


@pytest.fixture
def run(call: Call, url: str) -> Callable[..., Answer]:
    """Runs a command on the database."""
    return lambda *arguments: call(*arguments, "--database-url", url)


@pytest.fixture
def serving(start: Callable[..., Process], url: str) -> Iterator[str]:
    """The address of an API that asks everybody who they are."""
    process = start("serve", "--authentication", "--listen", "0.0.0.0:0", "--database-url", url)
    assert process.stderr
    port = re.search(r":(\d+)/graphql", process.stderr.readline())
    assert port
    yield f"http://127.0.0.1:{port[1]}"
    assert process.end()[0] == 0


def asked(address: str, token: str | None) -> httpx.Response:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return httpx.post(f"{address}/graphql", json=QUERY, headers=headers, verify=PLAIN)


def audited(url: str) -> list[tuple[Any, ...]]:
    async def read() -> list[tuple[Any, ...]]:
        engine = connect_owner(url)
        async with engine.connect() as connection:
            rows = await connection.execute(text("select action, subject, detail from audit_entry order by id"))
            found = [tuple(row) for row in rows]
        await engine.dispose()
        return found

    return asyncio.run(read())


def test_a_token_opens_its_namespaces_until_it_is_revoked(
    run: Callable[..., Answer], call: Call, serving: str, url: str, folder: Path
) -> None:
    """Nobody is let in without a token; one shows its own namespace alone; a revoked one shows nothing."""
    for team in ("team-a", "team-b"):
        (folder / team).mkdir()
        (folder / team / "manual.yaml").write_text(MANUAL.replace("metadata: {", f"metadata: {{namespace: {team}, "))
        assert run("up", folder / team, "--once", "--state", folder / f"state-{team}").code == 0
    token = run("token", "create", "ci", "--namespace", "team-a", "--expires", "1d").out.strip()

    assert asked(serving, None).status_code == 401
    edges = asked(serving, token).json()["data"]["providers"]["edges"]
    assert [edge["node"] for edge in edges] == [{"namespace": "team-a", "name": "subscriptions"}]

    (listed,) = run("token", "list", "--json").json()
    assert (listed["name"], listed["scopes"], listed["namespaces"]) == ("ci", ["read"], ["team-a"])
    assert listed["lastUsedAt"] is not None
    assert run("token", "revoke", listed["id"]).out == f"token {listed['id']} is revoked\n"
    assert asked(serving, token).status_code == 401
    assert "revoked" in run("token", "list").out


def test_only_what_is_known_can_be_granted(run: Callable[..., Answer]) -> None:
    """An unknown scope and a length of time that is none are wrong usage; an unknown id is not found."""
    assert run("token", "create", "x", "--scope", "write").code == 2
    assert run("token", "create", "x", "--expires", "soon").code == 2
    answer = run("token", "revoke", "0123456789ab")
    assert (answer.code, "there is no token 0123456789ab" in answer.err) == (1, True)
    assert run("token", "list").out.startswith("No tokens yet.")


def test_the_audit_log_tells(run: Callable[..., Answer], url: str, manifests: Path, folder: Path) -> None:
    """Tokens made and revoked, and files exported, are in the audit log; tokens themselves are not."""
    token = run("token", "create", "ci", "--scope", "export").out.strip()
    token_id = token.split("_")[1]
    run("token", "revoke", token_id)
    run("export", "charges", "--from", "2024-09", "--to", "2024-10", "-o", folder / "x.csv")

    told = audited(url)
    assert [(action, subject) for action, subject, _ in told] == [
        ("createToken", token_id),
        ("revokeToken", token_id),
        ("export", "charges"),
    ]
    assert told[0][2] == {"name": "ci", "scopes": ["export"], "namespaces": None}
    assert token.split("_")[2] not in str(told)


def test_an_issuer_needs_an_audience(run: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    """JWTs meant for others are not accepted by mistake: an issuer without an audience is refused."""
    monkeypatch.setenv("COSTHOOK_OIDC_ISSUER", "https://id.example")

    answer = run("serve", "--authentication", "--listen", "127.0.0.1:0")

    assert (answer.code, "COSTHOOK_OIDC_AUDIENCE" in answer.err) == (1, True)
