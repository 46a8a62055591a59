"""What holds for every test: nothing leaves the machine, and what hypothesis finds can be found again."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from typing import Any

import hypothesis

# How long an example takes says more about the machine than about the code.
hypothesis.settings.register_profile("here", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("ci", hypothesis.settings.get_profile("here"), derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "here")


def pytest_report_header() -> str | None:
    """Say in one line why the end-to-end tests are skipped, where they are."""
    from tests.e2e.controlplane import HOW_TO_GET, missing_programs

    return f"tests/e2e is skipped: {HOW_TO_GET}" if missing_programs() else None


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a case with bytes by its place: what is packed at import, such as gzip, differs from worker to worker."""
    return argname if isinstance(val, bytes) else None


class NetworkForbidden(RuntimeError):
    """A test tried to reach beyond this machine. No OSError, so that no code under test mistakes it for one."""


def stay_on_this_machine(event: str, arguments: tuple[Any, ...]) -> None:
    """Audit hook that refuses connections and name look-ups beyond loopback; it holds inside libraries too."""
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        connection, address = arguments[:2]
        if connection.family in (socket.AF_INET, socket.AF_INET6) and address and not _is_here(address[0]):
            raise NetworkForbidden(f"a test tried to reach {address[0]}; play the other side on 127.0.0.1")
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        _refuse_lookup(_text(arguments[0]))


def _refuse_lookup(name: str) -> None:
    """Let pass what needs no name server; names under .invalid never resolve (RFC 6761), here without asking."""
    if name.endswith(".invalid"):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    if name not in ("", "localhost", socket.gethostname()) and _address(name) is None:
        raise NetworkForbidden(f"a test tried to look up {name!r}; use 127.0.0.1, or a name under .invalid")


def _is_here(host: str | bytes) -> bool:
    address = _address(_text(host))
    return _text(host) == "localhost" or (address is not None and (address.is_loopback or address.is_unspecified))


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _text(host: str | bytes | None) -> str:
    return host.decode("ascii", "replace") if isinstance(host, bytes) else host or ""


sys.addaudithook(stay_on_this_machine)
