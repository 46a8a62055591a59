"""The guard of Apprise's process: which connections, look-ups, files and programs it lets pass."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPSConnection  # noqa: TID251 - what libraries hand to Python's audit
from types import SimpleNamespace

import pytest

from reconciler.channels.apprise_process import Guard
from reconciler.connectors.egress import EgressPolicy, EgressRefused

ALLOWED = EgressPolicy(("gotify.internal",), allow_loopback=True)


@pytest.fixture
def tcp() -> Iterator[socket.socket]:
    with socket.socket() as made:
        yield made


def guard(policy: EgressPolicy = ALLOWED, **names: str) -> Guard:
    """A guard in whose world each of `names` has one address."""
    made = Guard(policy)
    made._getaddrinfo = lambda host, *args, **named: [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (names[host.replace(".", "_")], 443))
    ]
    return made


def test_http_is_for_hosts_that_are_allowed() -> None:
    """Encrypted to any host; in the clear to this machine and to hosts that an administrator named."""
    judge = guard()
    judge._hear("http.client.connect", (HTTPSConnection("example.com"), "example.com", 443))
    judge._hear("http.client.connect", (HTTPConnection("gotify.internal"), "gotify.internal", 80))
    judge._hear("http.client.connect", (HTTPConnection("::1"), "::1", 80))
    with pytest.raises(EgressRefused, match="not encrypted"):
        judge._hear("http.client.connect", (HTTPConnection("example.com"), "example.com", 80))


@pytest.mark.parametrize("said", [b"AUTH PLAIN AGEAYg==\r\n", b"mail FROM:<a@example.com>\r\n"])
def test_mail_in_the_clear_is_for_hosts_that_are_allowed(said: bytes, tcp: socket.socket) -> None:
    """A mail server is greeted as it likes; passwords and mails in the clear go to allowed hosts alone."""
    judge, session = guard(), SimpleNamespace(sock=tcp)
    judge._hear("smtplib.connect", (session, "mail.example.com", 25))
    judge._hear("smtplib.send", (session, b"ehlo costhook\r\n"))
    with pytest.raises(EgressRefused, match=r"mail\.example\.com is not encrypted"):
        judge._hear("smtplib.send", (session, said))
    judge._hear("smtplib.connect", (session, "gotify.internal", 25))
    judge._hear("smtplib.send", (session, said))


def test_a_private_address_is_reached_by_an_allowed_name_alone(tcp: socket.socket) -> None:
    """What a name resolved to when it was judged may be connected to; the same address by another way may not."""
    judge = guard(gotify_internal="10.0.0.5", evil_example="10.0.0.6")
    judge._look_up("gotify.internal", 443)
    judge._hear("socket.connect", (tcp, ("10.0.0.5", 443)))
    for attempt in (
        lambda: judge._look_up("evil.example", 443),
        lambda: judge._hear("socket.connect", (tcp, ("10.0.0.6", 443))),
        lambda: judge._hear("socket.connect", (tcp, ("169.254.169.254", 80))),
    ):
        with pytest.raises(EgressRefused):
            attempt()
    assert judge.refused is not None
    assert "10.0.0.6" in judge.refused


@pytest.mark.parametrize(
    ("event", "args"),
    [
        ("subprocess.Popen", ("sh", ["sh"], None, None)),
        ("os.system", (b"true",)),
        ("syslog.openlog", ("x", 0, 0)),
        ("open", ("/var/run/secrets/kubernetes.io/serviceaccount/token", "r", 0)),
        ("open", ("/proc/self/environ", "r", 0)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_this_machine_is_closed(event: str, args: tuple[object, ...]) -> None:
    """No program is started, no local service reached, and no credential file read."""
    with pytest.raises(EgressRefused, match="this machine"):
        guard()._hear(event, args)


def test_local_sockets_are_closed() -> None:
    """A plugin that would talk to a daemon of this machine is refused."""
    with socket.socket(socket.AF_UNIX) as local, pytest.raises(EgressRefused, match="this machine"):
        guard()._hear("socket.connect", (local, "/dev/log"))


def test_other_events_pass() -> None:
    """Python's everyday events are none of the guard's business."""
    judge = guard()
    judge._hear("open", ("/etc/mime.types", "r", 0))
    judge._hear("import", ("apprise", None, None, None, None))

    assert judge.refused is None
