"""Who may talk to an API on loopback: this machine, under its own names, and no page from elsewhere."""

from __future__ import annotations

import re
import socket

import httpx
import pytest

from api.app import create_app
from api.server import listening
from ledger.database import ReaderDB, connect_reader
from ledger.errors import NeedsPerson
from tests.integration.api.conftest import Asker, settings
from tests.loopback import PLAIN

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
ASK = "{ viewer { kind } }"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST:8080", "[::1]:2678", "127.0.0.1:1"])
async def test_own_names_are_answered(asker: Asker, host: str) -> None:
    """Names under which this machine knows itself are answered, whatever the port."""
    assert (await asker.post(ASK, host=host)).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io:80", "", "10.0.0.1", "[::2]"]
)
@pytest.mark.parametrize("path", ["/graphql", "/readyz", "/nowhere"])
async def test_foreign_names_are_refused(asker: Asker, host: str, path: str) -> None:
    """A name that merely resolves to this machine (DNS rebinding) is refused, whatever is asked for."""
    answer = await asker.http.request("POST" if path == "/graphql" else "GET", path, headers={"host": host})

    assert answer.status_code in (400, 403)
    assert "data" not in answer.text


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost:1", "http://127.0.0.1.evil.example", "//", "http://["]
)
async def test_pages_of_other_origins_are_refused(asker: Asker, origin: str) -> None:
    """A page from elsewhere, one on another port of this machine included, may not ask."""
    answer = await asker.post(ASK, origin=origin)

    assert answer.status_code == 403
    assert answer.json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_the_own_page_may_ask(asker: Asker) -> None:
    """The API's own page sends its own origin."""
    assert (await asker.post(ASK, origin=str(asker.http.base_url).rstrip("/"))).status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_requests_that_other_sites_cause_are_refused(asker: Asker, site: str) -> None:
    """An image or script tag elsewhere cannot make a browser fetch from here; following a link can open the page."""
    fetched = {"sec-fetch-site": site, "sec-fetch-mode": "no-cors"}
    assert (await asker.http.get("/graphql", headers=fetched)).status_code == 403
    followed = {"sec-fetch-site": site, "sec-fetch-mode": "navigate", **BROWSER}
    assert (await asker.http.get("/graphql", headers=followed)).status_code == 200


async def test_every_answer_has_security_headers(asker: Asker) -> None:
    """Pages, answers, refusals and what is not found all forbid framing, sniffing and foreign code."""
    for answer in (
        await asker.post(ASK),
        await asker.http.get("/graphql", headers=BROWSER),
        await asker.http.get("/nowhere"),
        await asker.post(ASK, host="evil.example"),
    ):
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert "server" not in answer.headers


async def test_the_page_loads_nothing_from_elsewhere(asker: Asker) -> None:
    """The page's files are served here, and none of them names another host."""
    for path in ("/graphql", "/graphql/explorer.css", "/graphql/explorer.js", "/graphql/schema.js"):
        answer = await asker.http.get(path, headers=BROWSER)
        assert answer.status_code == 200
        assert "://" not in answer.text


async def test_questions_are_not_asked_by_get(asker: Asker) -> None:
    """GET runs nothing: a link could otherwise make a visitor's browser ask."""
    answer = await asker.http.get("/graphql", params={"query": ASK})
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    page = await asker.http.get("/graphql", params={"query": ASK}, headers=BROWSER)

    assert page.headers["content-type"].startswith("text/html")
    assert (await asker.http.put("/graphql")).status_code == 405


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "costs.example"])  # noqa: S104  # to be refused
def test_other_addresses_need_authentication(host: str) -> None:
    """The API does not start where others reach it, unless callers have to prove who they are."""
    with pytest.raises(NeedsPerson, match="authentication"):
        settings(host=host)
    assert settings(host=host, authentication=True).host == host


async def test_an_address_that_is_taken_is_said_so(reader: ReaderDB) -> None:
    """A port that someone else listens on is reported in words that say what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(NeedsPerson, match="--listen"):
        async with listening(create_app(settings(), reader), "127.0.0.1", taken.getsockname()[1]):
            pass


async def test_readiness_follows_the_database(asker: Asker, reader: ReaderDB) -> None:
    """Ready means: the database answers and has the schema of this program; alive means only alive."""
    assert (await asker.http.get("/healthz")).status_code == 200
    assert (await asker.http.get("/readyz")).status_code == 200

    unreachable = connect_reader("postgresql://nobody@127.0.0.1:1/none")
    for db, asked_for in ((unreachable, settings()), (reader, settings(schema_step="9999"))):
        app = create_app(asked_for, db)
        async with listening(app, "127.0.0.1", 0) as url:
            assert (await asker.http.get(f"{url}/healthz")).status_code == 200
            answer = await asker.http.get(f"{url}/readyz")
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "5"


async def test_an_unreachable_database_is_no_fault_of_the_client(asker: Asker) -> None:
    """Without a database, questions get a 503 that says when to try again, and no inner word."""
    app = create_app(settings(), connect_reader("postgresql://secret:password@127.0.0.1:1/none"))
    async with listening(app, "127.0.0.1", 0) as url:
        answer = await asker.http.post(f"{url}/graphql", json={"query": "{ syncRuns { totalCount } }"})

    assert answer.status_code == 503
    assert answer.json()["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
    assert "secret" not in answer.text


async def test_pages_of_allowed_origins_may_ask(reader: ReaderDB) -> None:
    """An origin that is allowed passes the browser's question beforehand, without a token; others do not."""
    app = create_app(settings(authentication=True, allowed_origins=("https://costs.example",)), reader)
    wanted = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}
    async with listening(app, "127.0.0.1", 0) as url, httpx.AsyncClient(verify=PLAIN) as http:
        asked = await http.options(f"{url}/graphql", headers={"origin": "https://costs.example", **wanted})
        assert asked.status_code == 200
        assert asked.headers["access-control-allow-origin"] == "https://costs.example"
        refused = await http.options(f"{url}/graphql", headers={"origin": "https://evil.example", **wanted})
        assert refused.status_code == 403
        assert "access-control-allow-origin" not in refused.headers
        answer = await http.post(f"{url}/graphql", json={}, headers={"origin": "https://costs.example"})
        assert answer.status_code == 401
        assert answer.headers["access-control-allow-origin"] == "https://costs.example"


async def test_without_a_database_nobody_gets_in(asker: Asker) -> None:
    """While the database is away, callers are told to come again: with a token, for files, manifests and metrics."""
    away = connect_reader("postgresql://nobody@127.0.0.1:1/none")
    token = {"authorization": f"Bearer costhook_{'0' * 12}_{'0' * 64}"}
    async with listening(create_app(settings(authentication=True), away), "127.0.0.1", 0) as url:
        assert (await asker.http.get(f"{url}/metrics", headers=token)).status_code == 503
    days = {"from": "2026-10-01", "to": "2026-10-02"}
    async with listening(create_app(settings(), away), "127.0.0.1", 0) as url:
        for path in ("metrics", "export/charges.csv", "export/costs/manifest"):
            answer = await asker.http.get(f"{url}/{path}", params=days)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5"), path


@pytest.mark.parametrize("given", ["abc-1.2_3", "", "x" * 65, "a b", 'a"b'])
async def test_requests_have_ids(asker: Asker, given: str) -> None:
    """A plain id of the caller's own is kept; anything else, or nothing, gets a new one."""
    answer = await asker.http.get("/healthz", headers={"x-request-id": given})
    kept = answer.headers["x-request-id"]

    assert (kept == given) == (given == "abc-1.2_3")
    assert re.fullmatch(r"[\w.-]{1,64}", kept)
