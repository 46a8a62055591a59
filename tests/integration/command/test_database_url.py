"""Commands on a database that is named by its URL, and what they say when it is not as it should be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import make_url, text

from ledger.database import connect_owner
from migrations.step import last
from tests.integration.command.conftest import Call, Process
from tests.integration.conftest import make_database
from tests.loopback import PLAIN

PASSWORD = "correct-horse"


@pytest.fixture
def url(server_url: str) -> str:
    """A new, empty database."""
    return asyncio.run(make_database(server_url))


def execute(url: str, statement: str) -> None:
    async def run() -> None:
        engine = connect_owner(url)
        async with engine.begin() as connection:
            await connection.execute(text(statement))
        await engine.dispose()

    asyncio.run(run())


def test_a_database_has_to_be_migrated_first(call: Call, url: str) -> None:
    """Commands that read refuse a database without the schema and name the command that makes it; then they work."""
    before = call("providers", "--database-url", url)
    assert (before.code, before.out) == (1, "")
    assert before.err == ("costhook: the database has no Costhook schema; run `costhook migrate --database-url URL`\n")

    assert call("migrate", "--database-url", url).out == f"the schema is at step {last()}\n"
    assert call("migrate", "--database-url", url).code == 0
    assert call("providers", "--database-url", url).out.startswith("No providers yet.")


def test_a_newer_schema_is_left_alone(call: Call, url: str) -> None:
    """A schema that a newer program made is neither read nor touched."""
    call("migrate", "--database-url", url)
    execute(url, "update alembic_version set version_num = '9999'")

    for command in ("providers", "migrate"):
        answer = call(command, "--database-url", url)
        assert answer.code == 1
        assert "schema is at step 9999" in answer.err


def test_up_fills_it_and_keeps_nothing_beside_it(call: Call, url: str, manifests: Path, folder: Path) -> None:
    """`up` works on the named database; the state folder then holds no data, and says where it went."""
    state = folder / "state"
    filled = call("up", manifests, "--once", "--state", state, "--database-url", url)
    assert (filled.code, filled.err) == (0, "")

    assert "1,234.67" in call("providers", "--database-url", url).out
    lost = call("providers", "--state", state)
    assert lost.code == 1
    assert "`up` last used a database named by --database-url" in lost.err
    assert "postgresql" not in (state / "up.json").read_text()


def test_nobody_reconciles(call: Call, url: str, manifests: Path, folder: Path) -> None:
    """`sync` on a database on which no reconciler runs says so instead of waiting for one."""
    call("up", manifests, "--once", "--state", folder / "state", "--database-url", url)

    answer = call("sync", "files", "--database-url", url)

    assert answer.code == 1
    assert answer.err == (
        "costhook: no reconciler runs on this database; start one: costhook up DIR --database-url URL\n"
    )


def test_serve_is_the_api_alone(start: Callable[..., Process], call: Call, url: str) -> None:
    """`serve` answers over the database and ends cleanly, and refuses other addresses without authentication."""
    call("migrate", "--database-url", url)

    serving = start("serve", "--database-url", url, "--listen", "127.0.0.1:0")
    assert serving.stderr
    said = serving.stderr.readline()
    address = said.split()[1].removesuffix("/graphql")
    assert httpx.get(f"{address}/readyz", verify=PLAIN).status_code == 200
    assert serving.end() == (0, "", "")

    refused = call("serve", "--database-url", url, "--listen", "0.0.0.0:0")
    assert (refused.code, "listen on 127.0.0.1, or ask for authentication" in refused.err) == (1, True)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (f"postgresql://me:{PASSWORD}@127.0.0.1:1/costs", "the database cannot be reached"),
        (f"postgresql://me:{PASSWORD}@nowhere.invalid/costs", "the database cannot be reached"),
        (f"mysql://me:{PASSWORD}@127.0.0.1/costs", "Costhook needs postgresql://"),
        (f"postgresql://me:{PASSWORD}@127.0.0.1:port/costs", "write postgresql://user:password@host:5432/name"),
        (PASSWORD, "write postgresql://user:password@host:5432/name"),
    ],
)
def test_a_database_that_is_not_there(call: Call, given: str, said: str) -> None:
    """An address that leads nowhere is one line, without a traceback and without the password."""
    answer = call("providers", "--database-url", given)

    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("costhook: ")
    assert answer.err.count("\n") == 1
    assert said in answer.err
    assert PASSWORD not in answer.err


def test_a_login_that_is_refused(call: Call, server_url: str) -> None:
    """A login, or a database, that the server does not know is told as the server tells it."""
    for wrong in (
        make_url(server_url).set(database="no_such_database"),
        make_url(server_url).set(username="no_such_login", password=PASSWORD),
    ):
        answer = call("providers", "--database-url", wrong.render_as_string(hide_password=False))
        assert answer.code == 1
        assert "the database refuses the connection: " in answer.err
        assert PASSWORD not in answer.err
        assert answer.err.count("\n") == 1


def test_a_login_that_lacks_rights(call: Call, url: str) -> None:
    """A login that is no member of Costhook's roles is told what the server keeps from it."""
    call("migrate", "--database-url", url)
    name = f"outsider_{uuid4().hex[:8]}"
    execute(url, f"create role {name} login")

    answer = call("providers", "--database-url", make_url(url).set(username=name).render_as_string(hide_password=False))

    execute(url, f"drop role {name}")
    assert answer.code == 1
    assert answer.err.startswith("costhook: the database's login lacks a right: permission denied")
    assert answer.err.count("\n") == 1


def test_the_variable_names_it_too(call: Call, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """COSTHOOK_DATABASE_URL does what --database-url does."""
    monkeypatch.setenv("COSTHOOK_DATABASE_URL", url)

    assert call("migrate").code == 0
    assert call("providers").code == 0
