"""Connections go to the address that was judged, whatever the name says a moment later; TLS keeps the name."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from reconciler.connectors.http import EgressPolicy, EgressRefused, HttpLimits, VendorClient
from reconciler.connectors.scripted import Reply, ScriptedServer
from reconciler.connectors.transport import CheckedNetwork, resolve, system_trust
from reconciler.errors import NeedsPerson, ReconcilerError, RetryLater
from tests.integration.connectors.certificates import Certificates
from tests.integration.connectors.conftest import MakeClient

NAME = "vendor.invalid"
LEAVE = EgressPolicy(allowed_hosts=(NAME,), allow_loopback=True)


class Names:
    """A name server that answers from a list, one entry per question, the last one for ever."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append((host, port))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@asynccontextmanager
async def by_name(
    make_client: MakeClient, server: ScriptedServer, names: Names, policy: EgressPolicy = LEAVE
) -> AsyncIterator[VendorClient]:
    """A client that knows `server` by name."""
    server.route("GET", "/x", lambda request: Reply.json(request.headers["host"]))
    url = server.url.replace("127.0.0.1", NAME)
    limits = HttpLimits(attempts=1)
    async with make_client(base_url=url, policy=policy, resolve=names, limits=limits) as client:
        yield client


async def test_the_name_is_resolved_once(server: ScriptedServer, make_client: MakeClient) -> None:
    """The connection is made to what the one look-up gave, and the Host header keeps the name."""
    names = Names(["127.0.0.1"], ["169.254.169.254"])
    async with by_name(make_client, server, names) as client:
        assert await client.json("GET", "/x") == f"{NAME}:{server.port}"

    assert names.asked == [(NAME, server.port)]


async def test_a_name_that_is_rebound(server: ScriptedServer, make_client: MakeClient) -> None:
    """When the name leads elsewhere at the next connection, that one is judged anew."""
    names = Names(["127.0.0.1"], ["169.254.169.254"])
    async with by_name(make_client, server, names) as client:
        server.fail(Reply.json([], headers={"Connection": "close"}), times=1)
        await client.json("GET", "/x")
        with pytest.raises(EgressRefused, match="never allowed"):
            await client.json("GET", "/x")

    assert len(server.requests) == 1


@pytest.mark.parametrize("bad", ["169.254.169.254", "10.0.0.1", "fe80::1", "::ffff:169.254.169.254"])
async def test_one_bad_address_is_one_too_many(bad: str, server: ScriptedServer, make_client: MakeClient) -> None:
    """A name with one forbidden address among good ones is refused before any connection."""
    names = Names(["127.0.0.1", bad])
    policy = EgressPolicy(allowed_hosts=(), allow_loopback=True) if bad == "10.0.0.1" else LEAVE
    async with by_name(make_client, server, names, policy) as client:
        with pytest.raises(EgressRefused):
            await client.json("GET", "/x")

    assert not server.requests


async def test_a_name_without_leave_is_not_this_machine(make_client: MakeClient, certificates: Certificates) -> None:
    """A public name that resolves to this machine is refused, also where this machine itself may be asked."""
    async with ScriptedServer(tls=certificates.server(NAME)) as server:
        policy = EgressPolicy(allow_loopback=True)
        async with by_name(make_client, server, Names(["127.0.0.1"]), policy) as client:
            with pytest.raises(EgressRefused, match="resolves to this machine"):
                await client.json("GET", "/x")

        assert not server.requests


async def test_the_next_address_is_tried(server: ScriptedServer, make_client: MakeClient) -> None:
    """When the first address does not answer, the second is connected to."""
    async with by_name(make_client, server, Names(["127.0.0.2", "127.0.0.1"])) as client:
        assert await client.json("GET", "/x") == f"{NAME}:{server.port}"


async def test_a_name_without_addresses(server: ScriptedServer, make_client: MakeClient) -> None:
    """A name that resolves to nothing is a fault that may pass."""
    async with by_name(make_client, server, Names([])) as client:
        with pytest.raises(RetryLater, match="has no address"):
            await client.json("GET", "/x")


async def test_a_name_server_that_does_not_answer(server: ScriptedServer, make_client: MakeClient) -> None:
    """Looking up a name is bounded by the time a connection may take."""

    async def never(host: str, port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return [host, str(port)]

    url = server.url.replace("127.0.0.1", NAME)
    limits = HttpLimits(connect=0.05, attempts=1)
    async with make_client(base_url=url, policy=LEAVE, resolve=never, limits=limits) as client:
        with pytest.raises(RetryLater, match="no answer in time"):
            await client.json("GET", "/x")


async def test_tls_keeps_the_name(certificates: Certificates, make_client: MakeClient) -> None:
    """Connected to by address, the server is still asked for, and must prove, its name."""
    context = certificates.server(NAME)
    asked: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    async with ScriptedServer(tls=context) as server:
        server.route("GET", "/x", lambda request: Reply.json(request.headers["host"]))
        url = f"https://{NAME}:{server.port}"
        names = Names(["127.0.0.1"])
        async with make_client(base_url=url, policy=LEAVE, resolve=names, tls=certificates.trust) as client:
            assert await client.json("GET", "/x") == f"{NAME}:{server.port}"

    assert asked == [NAME]


async def untrusted(make_client: MakeClient, server: ScriptedServer, tls: ssl.SSLContext | None) -> ReconcilerError:
    """The error of asking `server` by name while trusting only `tls`."""
    url = f"https://{NAME}:{server.port}"
    async with make_client(base_url=url, policy=LEAVE, resolve=Names(["127.0.0.1"]), tls=tls) as client:
        with pytest.raises(NeedsPerson) as caught:
            await client.json("GET", "/x")
    return caught.value


async def test_a_certificate_of_another_name(certificates: Certificates, make_client: MakeClient) -> None:
    """A server that proves to be somebody else is not talked to."""
    async with ScriptedServer(tls=certificates.server("other.invalid")) as server:
        error = await untrusted(make_client, server, certificates.trust)

    assert error.reason == "CertificateNotTrusted"
    assert not server.requests


async def test_a_certificate_of_an_unknown_authority(certificates: Certificates, make_client: MakeClient) -> None:
    """An authority that the system does not know needs a person, who is told where to add it."""
    async with ScriptedServer(tls=certificates.server(NAME)) as server:
        error = await untrusted(make_client, server, None)

    assert error.reason == "CertificateNotTrusted"
    assert "SSL_CERT_FILE" in str(error)


def test_certificates_are_checked_by_default() -> None:
    """The trust that is used where none is passed checks the name and the chain."""
    assert system_trust().check_hostname
    assert system_trust().verify_mode is ssl.CERT_REQUIRED


async def test_the_systems_names() -> None:
    """The system's own resolution gives addresses, each once."""
    assert await resolve("127.0.0.1", 443) == ["127.0.0.1"]
    assert "127.0.0.1" in await resolve("localhost", 443)


async def test_no_unix_sockets() -> None:
    """A vendor is never a file."""
    with pytest.raises(Exception, match="no Unix sockets"):
        await CheckedNetwork(LEAVE).connect_unix_socket("/run/x")
