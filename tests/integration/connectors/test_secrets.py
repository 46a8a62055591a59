"""No planted secret shows in anything a person might read, on any way a request can fail."""

from __future__ import annotations

import logging
import traceback
from base64 import b64encode
from collections.abc import Callable, Iterator
from urllib.parse import quote, quote_plus

import pytest

from reconciler.connectors.http import EgressPolicy, HttpLimits, VendorClient
from reconciler.connectors.scripted import Reply, Request, ScriptedServer
from reconciler.errors import ReconcilerError
from tests.integration.connectors.conftest import MakeClient

KEY = "sk/adm+in=0123456789"
TOKEN = "tok-9876543210"
BASIC = b64encode(f"user:{KEY}".encode()).decode()
SECRETS = (KEY, TOKEN, BASIC)
FORMS = [
    form
    for secret in SECRETS
    for form in (secret, quote(secret, safe=""), quote(secret), quote_plus(secret), b64encode(secret.encode()).decode())
]


def echoed(request: Request) -> str:
    """All that a careless server might repeat, headers and query and secrets in other forms."""
    return f"{request.target} {dict(request.headers)} {request.body!r} {' '.join(FORMS)}"


def refusal(status: int) -> Callable[[Request], Reply]:
    """A refusal that repeats everything it was sent."""
    return lambda request: Reply.json({"error": {"message": echoed(request)}, KEY: [TOKEN]}, status)


def page(request: Request) -> Reply:
    """A refusal as a web page that repeats everything."""
    return Reply(401, echoed(request).encode(), {"Content-Type": "text/html"})


def away(target: str) -> Reply:
    """A redirect with a secret in its path and its query."""
    return Reply(302, headers={"Location": f"{target}/{quote(KEY, safe='')}?key={quote(KEY)}&token={TOKEN}"})


FAULTS: dict[str, Reply | Callable[[Request], Reply]] = {
    **{str(status): refusal(status) for status in (300, 400, 401, 403, 404, 408, 422, 429, 500, 503, 529)},
    "page": page,
    "silence": Reply(hold=True),
    "cut": Reply(body=KEY.encode() * 99, headers={"Content-Type": "application/json"}, cut=30),
    "garbled": Reply(body=f"{{{KEY}".encode(), headers={"Content-Type": "application/json"}),
    "constant": Reply(body=b"[NaN]", headers={"Content-Type": "application/json"}),
    "number": Reply(body=b"1" * 99, headers={"Content-Type": "application/json"}),
    "content type": Reply(body=b"", headers={"Content-Type": f"text/{KEY}"}),
    "encoding": Reply(body=b"x", headers={"Content-Encoding": KEY}),
    "damaged": Reply(body=b"x", headers={"Content-Encoding": "gzip"}),
    "too long": Reply(body=b'"' + b"x" * 5000 + b'"', headers={"Content-Type": "application/json"}),
    "metadata": away("https://169.254.169.254"),
    "plain": away("http://vendor.invalid"),
    "nowhere": away("https://vendor.invalid"),
    "userinfo": away(f"https://{KEY}:{TOKEN}@vendor.invalid"),
    "no url": away("https://0177.0.0.1"),
}


@pytest.fixture(autouse=True)
def talkative(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Everything is logged that anybody wants to log."""
    caplog.set_level(logging.DEBUG)
    yield
    records = caplog.get_records("call")
    assert_silent(" ".join(record.getMessage() for record in records))


def assert_silent(text: str) -> None:
    """Fail if `text` shows a secret in any form."""
    assert not [form for form in FORMS if form.lower() in text.lower()]


def everything(error: BaseException) -> str:
    """All that can be shown of an error, with what it was caused by and raised during.

    Fails if its traceback leads into libraries, whose local variables hold headers.
    """
    shown = [repr(error), str(error), repr(vars(error)), *traceback.format_exception(error)]
    assert not [frame for frame in traceback.extract_tb(error.__traceback__) if "site-packages" in frame.filename]
    for below in (error.__cause__, error.__context__):
        shown += [everything(below)] if below is not None else []
    return "\n".join(shown)


async def failure(client: VendorClient) -> ReconcilerError:
    """The error of a request with secrets wherever a request can carry them."""
    client.hide(BASIC)
    client.authorise({"Authorization": f"Bearer {KEY}", "X-Api-Key": TOKEN})
    with pytest.raises(ReconcilerError) as caught:
        await client.json(
            "POST",
            f"/{quote(KEY, safe='')}/x",
            params={"key": KEY, "token": TOKEN},
            body={"secret": KEY},
            headers={"X-Basic": f"Basic {BASIC}"},
            retry=True,
        )
    return caught.value


@pytest.mark.parametrize("fault", FAULTS)
async def test_errors_show_no_secret(fault: str, server: ScriptedServer, make_client: MakeClient) -> None:
    """However a server fails, and whatever it repeats, the error and the logs keep silent."""
    server.fail(FAULTS[fault])
    limits = HttpLimits(read=0.05 if fault == "silence" else 60, attempts=2, body=1000)
    async with make_client(redact=[KEY, TOKEN], limits=limits) as client:
        error = await failure(client)

        assert error.__context__ is None
        assert error.__cause__ is None
        assert_silent(everything(error))
        assert_silent(repr(client))


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1",
        f"http://127.0.0.1:1/{quote(KEY, safe='')}",
        f"https://{TOKEN}.invalid",
        f"https://user:{TOKEN}@vendor.invalid",
        "http://vendor.invalid",
        "https://169.254.169.254",
    ],
)
async def test_requests_that_are_never_sent(url: str, make_client: MakeClient) -> None:
    """Refused by the policy, by the name server or by nobody listening: the same silence."""
    async with make_client(base_url=url, redact=[KEY, TOKEN]) as client:
        assert_silent(everything(await failure(client)))
        assert_silent(repr(client))


async def test_an_address_that_is_refused(make_client: MakeClient) -> None:
    """What is refused deep within the libraries, once the name is resolved, brings none of their frames along."""

    async def resolve(host: str, port: int) -> list[str]:
        return ["10.0.0.1"]

    async with make_client(base_url="https://vendor.invalid", redact=[KEY, TOKEN], resolve=resolve) as client:
        assert_silent(everything(await failure(client)))


async def test_streams(server: ScriptedServer, make_client: MakeClient) -> None:
    """A stream that is refused, or breaks off, keeps silent too."""
    async with make_client(redact=[KEY, TOKEN, BASIC], limits=HttpLimits(attempts=1)) as client:
        client.authorise({"Authorization": f"Bearer {KEY}"})
        for fault in (refusal(403), Reply(body=KEY.encode() * 99, cut=500)):
            server.fail(fault)
            with pytest.raises(ReconcilerError) as caught:
                async with client.stream("GET", "/x", params={"key": KEY}) as answer:
                    assert [chunk async for chunk in answer.chunks()]
            assert_silent(str(caught.value) + repr(caught.value))
            assert caught.value.__context__ is None


async def test_a_good_request_is_not_logged(server: ScriptedServer, make_client: MakeClient) -> None:
    """Nor do the libraries below log the URLs and headers of requests that succeed."""
    server.route("GET", "/v1/x", lambda _: Reply.json([]))
    async with make_client(policy=EgressPolicy(allow_loopback=True)) as client:
        client.authorise({"Authorization": f"Bearer {KEY}"})
        await client.json("GET", "/x", params={"key": KEY})

    assert len(server.requests) == 1
