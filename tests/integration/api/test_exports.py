"""Files over HTTP: what is in them, who may take them, and what becomes of clients that stop reading."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import httpx
import pyarrow.parquet
import pytest
from sqlalchemy import text

from api import export as exporting
from api.app import create_app
from api.server import listening
from ledger import audit, tokens
from ledger.database import ReaderDB, connect_reader
from tests.integration.api.conftest import NOW, Asker, settings
from tests.integration.ledger.conftest import READ_AT, Desk, charge, days

PERIOD = {"from": "2026-09-28", "to": "2026-10-05"}


def amounts(kind: str, data: bytes) -> Decimal:
    """The sum of billed costs in a file."""
    if kind == "csv":
        rows: list[dict[str, Any]] = list(csv.DictReader(io.StringIO(data.decode(), newline="")))
    elif kind == "jsonl":
        rows = [json.loads(line) for line in data.splitlines()]
    else:
        rows = pyarrow.parquet.read_table(io.BytesIO(data)).to_pylist()
    return sum((Decimal(row.get("BilledCost") or 0) for row in rows), Decimal(0))


@pytest.mark.parametrize("what", ["charges", "costs"])
@pytest.mark.parametrize(
    ("kind", "media"),
    [("csv", "text/csv"), ("jsonl", "application/jsonl"), ("parquet", "application/vnd.apache.parquet")],
)
async def test_files_are_what_the_manifest_says(asker: Asker, desk: Desk, what: str, kind: str, media: str) -> None:
    """Every format holds the charges of the period, and its manifest their sum, rows and completeness."""
    await desk.sync(days(0, 7), [charge(0, "a", "1.5"), charge(3, "b", "-0.25"), charge(6, "c", "4")])
    asked = {**PERIOD, "to": "2026-10-04", "namespaces": desk.namespace}
    answer = await asker.http.get(f"/export/{what}.{kind}", params=asked)
    manifest = (await asker.http.get(f"/export/{what}/manifest", params=asked)).json()

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(media)
    assert answer.headers["content-disposition"] == (
        f'attachment; filename="costhook-{what}-2026-09-28-2026-10-04.{kind}"'
    )
    assert amounts(kind, answer.content) == Decimal("1.25")
    assert manifest == {
        "export": what,
        "from": "2026-09-28",
        "to": "2026-10-04",
        "filter": {"namespaces": [desk.namespace]},
        "asOf": None,
        "at": "2026-10-02T15:00:00Z",
        "rows": 2,
        "completeThrough": "2026-10-04",
        "totals": [{"currency": "USD", "billedCost": "1.25", "effectiveCost": "1.25", "charges": 2, "unpriced": 0}],
    }


async def test_filters_and_the_past(asker: Asker, desk: Desk) -> None:
    """Parameters named as GraphQL's filter choose charges; asOf gives what was believed then."""
    tagged = charge(1, "b", "2")._replace(tags={"team": "x"}, x_model="m=1")
    await desk.sync(days(0, 7), [charge(0, "a", "1"), tagged])
    await desk.sync(days(0, 7), [charge(0, "a", "8")], at=READ_AT.replace(hour=13))

    async def total(**chosen: Any) -> Decimal:
        asked = {**PERIOD, "namespaces": desk.namespace, **chosen}
        return amounts("csv", (await asker.http.get("/export/charges.csv", params=asked)).content)

    then = READ_AT.isoformat()
    assert await total() == 8
    assert await total(asOf=then) == 3
    for chosen, expected in (
        ({"skus": "a"}, 1),
        ({"skus": ["a", "b"]}, 3),
        ({"models": "m=1"}, 2),
        ({"tags": "team=x"}, 2),
        ({"tags": "team"}, 2),
        ({"tags": ["team=y", "team=x"]}, 2),
        ({"tags": "team=y"}, 0),
        ({"origins": "API", "currencies": "EUR"}, 0),
    ):
        assert await total(asOf=then, **chosen) == expected, chosen


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"from": "2026-09-28"},
        {"from": "yesterday", "to": "2026-10-05"},
        {**PERIOD, "to": "2026-09-28"},
        {**PERIOD, "asOf": "2026-10-05"},
        {**PERIOD, "origins": "elsewhere"},
        {**PERIOD, "service": "x"},
        {**PERIOD, "skus": ["x"] * 201},
    ],
)
async def test_senseless_orders_are_refused(asker: Asker, asked: dict[str, Any]) -> None:
    """A missing or wrong parameter, a misspelt one included, is a 400 that says which."""
    for path in ("/export/charges.csv", "/export/costs/manifest"):
        answer = await asker.http.get(path, params=asked)
        assert answer.status_code == 400, answer.text
        assert answer.json()["errors"][0]["extensions"]["code"] == "BAD_INPUT"
    assert (await asker.http.get("/export/charges.xlsx", params=PERIOD)).status_code == 404


async def test_hostile_text_in_filters_is_refused(asker: Asker) -> None:
    """What no text of the ledger can hold is refused before anything is sent."""
    for path in ("/export/charges.csv", "/export/charges.parquet", "/export/charges/manifest"):
        answer = await asker.http.get(path, params={**PERIOD, "skus": "\0"})
        assert answer.status_code == 400, answer.text


async def test_exports_are_in_the_audit_log(asker: Asker, desk: Desk) -> None:
    """Who took which figures, and when, is written down before the first byte goes out."""
    asked = {**PERIOD, "namespaces": desk.namespace}
    await asker.http.get("/export/charges.csv", params=asked, headers={"x-request-id": "taken"})

    [entry] = [entry for entry in await audit.latest(desk.db, 20) if desk.namespace in json.dumps(entry.detail)]
    assert (entry.action, entry.subject, entry.request_id, entry.at) == ("export", "charges", "taken", NOW)
    assert entry.detail["format"] == "csv"


async def test_files_take_the_scope(reader: ReaderDB, desk: Desk) -> None:
    """A token without the scope `export` gets no file and no manifest."""
    app = create_app(settings(authentication=True), reader)
    token = await tokens.create(desk.db, "x", ["read"], None, NOW)
    async with listening(app, "127.0.0.1", 0) as url, httpx.AsyncClient(timeout=20) as http:
        for path in ("charges.csv", "charges/manifest"):
            headers = {"authorization": f"Bearer {token}"}
            answer = await http.get(f"{url}/export/{path}", params=PERIOD, headers=headers)
            assert answer.status_code == 403


@asynccontextmanager
async def stuck(url: str, path: str) -> AsyncIterator[asyncio.StreamReader]:
    """A client that asks for a file, reads its beginning and then nothing more."""
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port, limit=4096)
    query = "&".join(f"{name}={value}" for name, value in PERIOD.items())
    writer.write(f"GET {path}?{query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    try:
        assert b"200" in await reader.readline()
        yield reader
    finally:
        writer.transport.abort()


async def until_free(db: ReaderDB) -> None:
    """Return when no connection of the pool is taken any more."""
    while db.engine.pool.checkedout():  # type: ignore[attr-defined]  # of the pool it is, not of its base
        await asyncio.sleep(0.02)


async def large(desk: Desk) -> None:
    """More charges than the buffers between server and client hold: some 25 MB of CSV."""
    wide = [charge(i % 7, f"{i} " + "x" * 4000, "1") for i in range(6_000)]
    await desk.sync(days(0, 7), wide)


@pytest.mark.parametrize("path", ["/export/charges.csv", "/export/charges.parquet"])
async def test_a_client_that_stops_reading_is_let_go(
    database_url: str, desk: Desk, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Soon after a client takes nothing any more, its connection to the database is free; others are served."""
    monkeypatch.setattr(exporting, "STALLED", 0.3)
    await large(desk)
    db = connect_reader(database_url, pool_size=3)
    async with listening(create_app(settings(), db), "127.0.0.1", 0) as url:
        async with stuck(url, path), asyncio.timeout(20):
            async with httpx.AsyncClient(timeout=20) as http:
                assert (await http.get(f"{url}/readyz")).status_code == 200
            await until_free(db)
        async with asyncio.timeout(20), desk.db.transaction() as connection:
            running = text("select count(*) from pg_stat_activity where query ilike 'copy (%' and state = 'active'")
            while (await connection.execute(running)).scalar():
                await asyncio.sleep(0.02)
    await db.close()


async def test_a_client_that_goes_is_noticed(database_url: str, desk: Desk) -> None:
    """A client that closes its connection in the middle of a file frees what it held at once."""
    await large(desk)
    db = connect_reader(database_url, pool_size=3)
    async with listening(create_app(settings(), db), "127.0.0.1", 0) as url:
        async with stuck(url, "/export/charges.csv"):
            pass
        async with asyncio.timeout(20):
            await until_free(db)
    await db.close()


async def test_only_so_many_files_at_once(database_url: str, desk: Desk) -> None:
    """Beyond the files that may be written at once, the next client is told to come again."""
    await large(desk)
    db = connect_reader(database_url, pool_size=5)
    async with listening(create_app(settings(), db), "127.0.0.1", 0) as url, httpx.AsyncClient(timeout=20) as http:
        async with stuck(url, "/export/charges.csv"), stuck(url, "/export/charges.jsonl"):
            answer = await http.get(f"{url}/export/charges.csv", params=PERIOD)
            assert answer.status_code == 429
            assert answer.headers["retry-after"]
        async with asyncio.timeout(20):
            await until_free(db)
    await db.close()
