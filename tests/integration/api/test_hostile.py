"""Hostile documents, bodies and headers: a clean 4xx within a second, never a 5xx, a hang or an inner word."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from api import server
from api.app import create_app
from api.server import listening
from ledger.database import ReaderDB
from tests.integration.api.conftest import Asker, settings
from tests.integration.api.test_alerts import LEVEL
from tests.loopback import PLAIN

PERIOD = 'period: {from: "2026-01-01", to: "2026-12-31"}'
INNER = ("Traceback", "asyncpg", "sqlalchemy", "strawberry", "psycopg", "select ", "/ledger/", "object at 0x")


def doubling(levels: int) -> str:
    """Fragments that each spread the next one twice."""
    parts = [f"fragment f{i} on Query {{ ...f{i + 1} ...f{i + 1} }}" for i in range(levels)]
    return " ".join([f"{{ ...f0 }} fragment f{levels} on Query {{ viewer {{ name }} }}", *parts])


def cyclic(length: int) -> str:
    parts = [f"fragment f{i} on Query {{ ...f{(i + 1) % length} }}" for i in range(length)]
    return " ".join(["{ ...f0 }", *parts])


INTROSPECTION = "{ __schema { types { fields { type { ofType { ofType { name } } } } } } }"
NESTED = "%s { providers(first: %s) { edges { node { syncRuns(first: %s) { edges { node { id } } } } } } }"
TOO_COMPLEX = {
    "doubling fragments": doubling(23),
    "aliases": "{ viewer { " + " ".join(f"a{i}: name" for i in range(31)) + " } }",
    "root fields": "{ " + " ".join(f"a{i}: viewer {{ name }}" for i in range(11)) + " }",
    "root fields in fragments": "{ ...a ...a ...a } fragment a on Query { " + "a: viewer { name } " * 4 + "}",
    "heavy roots": "{ "
    + " ".join(f"a{i}: costs({PERIOD}) {{ buckets }} __schema {{ types {{ name }} }}" for i in range(6))
    + " }",
    "operations": " ".join(f"query q{i} {{ viewer {{ name }} }}" for i in range(6)),
    "directives": "{ viewer { name " + "@include(if: true) " * 31 + "} }",
    "directives of an operation": "query q " + "@a " * 31 + "{ viewer { name } }",
    "depth": "{ __schema { types " + "{ fields { type " * 10 + "{ name }" + "} }" * 10 + " } }",
    "introspections": "{ " + " ".join(f"a{i}: __schema {{ types {{ name }} }}" for i in range(10)) + " }",
    "nested pages": NESTED % ("", 100, 100),
    "pages by variable": NESTED % ("query ($n: Int!)", "$n", "$n"),
    "histories of many budgets": "{ budgets(first: 100) { edges { node { "
    + " ".join(f"{name}: standing {{ history {{ totals }} }}" for name in "ab")
    + " } } } }",
    "figures of many levels": "{ alerts(first: 100) { edges { node { levels { "
    + " ".join(f"{name}: figures {{ amount limit projected currency asOf reason }}" for name in "abcd")
    + " } } } } }",
    "digits": f"{{ charges({PERIOD}, first: {'9' * 41}) {{ totalCount }} }}",
    "digits in a list": "{ costs(x: [[" + "1" * 5000 + "]]) { buckets } }",
}
INVALID = {
    "cyclic fragments": cyclic(3),
    "a fragment that spreads itself": "{ ...a } fragment a on Query { ...a }",
    "unknown fragments": "{ ...nope }",
    "tokens": "{ viewer { " + "name " * 2000 + "} }",
    "comments": "#\n" * 101 + "{ viewer { name } }",
    "source": "{ viewer { name } }" + " " * 66_000,
    "lists in lists": "{ costs(x: " + "[" * 900 + "]" * 900 + ") { buckets } }",
    "nested selections": "{ a " * 900 + "}" * 900,
    "nested types": "query ($a: " + "[" * 900 + "Int" + "]" * 900 + ") { viewer { name } }",
    "half a document": "{ viewer {",
    "nothing": " ",
    "unknown fields": "{ nope }",
    "a subscription": "subscription { a }",
    "a bad day": '{ costs(period: {from: "2026-02-30", to: "2026-12-31"}) { buckets } }',
    "a moment without zone": f'{{ costs({PERIOD}, asOf: "2026-01-01T00:00:00") {{ buckets }} }}',
    "a moment at the end of time": f'{{ costs({PERIOD}, asOf: "9999-12-31T23:59:59-23:00") {{ buckets }} }}',
    "two groupings in one": f'{{ costs({PERIOD}, groupBy: [{{dimension: SKU, tag: "a"}}]) {{ buckets }} }}',
    "no grouping in one": f"{{ costs({PERIOD}, groupBy: [{{}}]) {{ buckets }} }}",
}


@pytest.fixture
def quick() -> Iterator[None]:
    """Fails a test that takes longer than a second, with room for a busy machine."""
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < 5


def check(answer: httpx.Response) -> list[dict[str, object]]:
    """A clean refusal; returns its errors."""
    assert 400 <= answer.status_code < 500, answer.text
    assert not [word for word in INNER if word in answer.text], answer.text
    errors: list[dict[str, object]] = answer.json()["errors"]
    assert all(error["message"] and error["extensions"]["code"] for error in errors)  # type: ignore[index]
    return errors


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", TOO_COMPLEX)
async def test_documents_that_ask_for_too_much(asker: Asker, name: str) -> None:
    """A document beyond a limit is refused before anything of it runs, and the error names the limit."""
    for accept in ("application/json", "application/graphql-response+json"):
        [error] = check(await asker.post(TOO_COMPLEX[name], {"n": 100}, accept=accept))
        assert error["extensions"]["code"] == "TOO_COMPLEX"  # type: ignore[index]
        assert error["extensions"]["limit"]  # type: ignore[index]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", INVALID)
async def test_documents_that_make_no_sense(asker: Asker, name: str) -> None:
    """A document that is not valid, however it is twisted, gets 400 and says why."""
    check(await asker.post(INVALID[name]))


async def test_usual_documents_stay_within_the_limits(asker: Asker) -> None:
    """What tools and people ask passes: the standard introspection and full pages."""
    from graphql import get_introspection_query

    assert (await asker.post(get_introspection_query())).status_code == 200
    every = "id namespace provider billedCost billingCurrency serviceName xModel xOrigin chargePeriodStart tags"
    await asker.ask(f"{{ charges({PERIOD}, first: 100) {{ edges {{ cursor node {{ {every} }} }} }} }}")
    await asker.ask(f"{{ alerts {{ edges {{ node {{ name on budget state levels {{ {LEVEL} }} }} }} }} }}")
    await asker.ask("{ budgets { edges { node { name standing { spent share history { days amounts totals } } } } } }")


BODIES = {
    "nothing": b"",
    "null": b"null",
    "true": b"true",
    "a number": b"1",
    "a text": b'"x"',
    "a list": b'[{"query": "{ viewer { name } }"}]',
    "half of it": b'{"query": "{ vie',
    "no query": b'{"queri": "x"}',
    "a query that is none": b'{"query": 5}',
    "invalid UTF-8": b'{"query": "\xff"}',
    "UTF-16": '{"query": "{ viewer { name } }"}'.encode("utf-16"),
    "a number of 5,000 digits": b'{"query": "{ viewer { name } }", "variables": {"a": ' + b"9" * 5000 + b"}}",
    "100,000 levels": b'{"query": "{ viewer { name } }", "variables": {"a": ' + b"[" * 60_000 + b"]" * 60_000 + b"}}",
    "60 levels": b'{"query": "{ viewer { name } }", "variables": {"a": ' + b"[" * 60 + b"]" * 60 + b"}}",
    "variables that are none": b'{"query": "{ viewer { name } }", "variables": []}',
    "half a character as a name": b'{"query": "{ viewer { name } }", "operationName": "\\ud800"}',
    "half a character in the query": b'{"query": "{ viewer(a: \\"\\ud800\\") { name } }"}',
    "an unknown operation": b'{"query": "query a { viewer { name } }", "operationName": "b"}',
    "not a number": b'{"query": "{ viewer { name } }", "variables": NaN}',
}
JSON = {"content-type": "application/json", "accept": "application/graphql-response+json"}


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", BODIES)
async def test_bodies_that_are_no_requests(asker: Asker, name: str) -> None:
    """Whatever is sent instead of a request is refused in GraphQL's own form."""
    check(await asker.http.post("/graphql", content=BODIES[name], headers=JSON))


ASK = json.dumps({"query": "{ viewer { name } }"}).encode()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-type": "multipart/form-data; boundary=x"}, 415),
        ({"content-type": "application/json; charset=utf-16"}, 415),
        ({"content-encoding": "gzip"}, 415),
        ({"accept": "text/html"}, 406),
        ({"accept": "application/json;q=0, application/graphql-response+json;q=0"}, 406),
        ({"accept": ",;q=x,/;=" * 400}, 406),
    ],
)
async def test_headers_that_cannot_be_served(asker: Asker, headers: dict[str, str], status: int) -> None:
    """What is sent or wanted in a form that is not spoken here is refused with the status for it."""
    content = gzip.compress(ASK) if "content-encoding" in headers else ASK
    answer = await asker.http.post("/graphql", content=content, headers=JSON | headers)

    assert answer.status_code == status
    check(answer)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("chunked", [False, True])
async def test_large_bodies_are_not_read(asker: Asker, chunked: bool) -> None:
    """A body beyond the limit is refused, whether it announces its size or not."""

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(300):
            yield b" " * 1024

    content = endless() if chunked else b" " * (8 * 1024 * 1024)
    try:
        answer = await asker.http.post("/graphql", content=content, headers=JSON)
    except (httpx.WriteError, httpx.ReadError):
        return  # The refusal came, and the connection closed, before everything was sent.
    assert answer.status_code == 413


async def test_a_dripping_body_is_not_awaited_for_ever(reader: ReaderDB) -> None:
    """A client that sends its body too slowly gets 408."""

    app = create_app(settings(body_seconds=0.2), reader)
    async with listening(app, "127.0.0.1", 0) as url:
        answer = await raw(url, b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
        assert b" 408 " in answer


async def raw(url: str, rest: bytes) -> bytes:
    """The first line of the answer to a POST whose head goes on with `rest`."""
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    writer.write(b"POST /graphql HTTP/1.1\r\nHost: localhost\r\n" + rest)
    try:
        return await reader.readline()
    finally:
        writer.close()


@pytest.mark.parametrize("head", [b"X-Fill: " + b"x" * 100_000, b"\r\n".join(b"X-%d: y" % i for i in range(9_000))])
async def test_endless_headers_are_refused(asker: Asker, head: bytes) -> None:
    """Headers beyond 32 KiB end the connection with a 4xx."""
    answer = await raw(str(asker.http.base_url), head + b"\r\n\r\n")

    assert answer.split()[1].startswith(b"4")


async def test_a_dripping_head_is_not_awaited_for_ever(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client whose headers come too slowly, or never, is sent away; one that goes on asking is not."""
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.3)
    url = str(asker.http.base_url)
    place = urlsplit(url)
    for begun in (b"", b"POST /graphql HTTP/1.1\r\nHost: local"):
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        writer.write(begun)
        assert b" 400 " in await asyncio.wait_for(reader.readline(), 5)
        writer.close()
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    for _ in range(3):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b" 200 " in await reader.readline()
        await reader.readuntil(b"}")
    writer.close()


async def test_a_question_that_takes_too_long_is_cut_off(reader: ReaderDB) -> None:
    """A question that is not answered in time is refused, and the server goes on."""
    app = create_app(settings(query_seconds=0.0001), reader)
    async with listening(app, "127.0.0.1", 0) as url, httpx.AsyncClient(timeout=10, verify=PLAIN) as http:
        answer = await http.post(f"{url}/graphql", json={"query": "{ syncRuns { totalCount } }"})
        assert answer.json()["errors"][0]["extensions"]["code"] == "TOO_SLOW"
        assert 400 <= answer.status_code < 500
        assert (await http.get(f"{url}/healthz")).status_code == 200


async def test_a_fault_of_ours_shows_nothing_but_an_id(
    asker: Asker, reader: ReaderDB, capsys: pytest.CaptureFixture[str]
) -> None:
    """What nobody foresaw is answered with an id that the log has, beside what really happened."""

    class Broken(ReaderDB):
        def transaction(self, namespaces: object) -> object:  # type: ignore[override]
            raise ZeroDivisionError("the inner word")

    app = create_app(settings(), Broken(reader.engine))
    async with listening(app, "127.0.0.1", 0) as url:
        answer = await asker.http.post(f"{url}/graphql", json={"query": "{ syncRuns { totalCount } }"})

    assert answer.status_code == 500
    assert "inner word" not in answer.text
    fault = answer.json()["errors"][0]["extensions"]["id"]
    logged = capsys.readouterr().out
    assert fault in logged
    assert "inner word" in logged
