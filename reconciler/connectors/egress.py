"""Where the program may connect to: judged by the URL first, and by the address its name resolves to second.

A manifest's author chooses base URLs, so a URL must not become a way into the network the program runs in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

import httpx
import idna

from reconciler.errors import NeedsPerson

Address = IPv4Address | IPv6Address

METADATA: Final = frozenset(
    map(
        ip_address,
        (
            "169.254.169.254",  # AWS, Azure, Google Cloud and most others
            "fd00:ec2::254",  # AWS over IPv6
            "fd20:ce::254",  # Google Cloud over IPv6
            "100.100.100.200",  # Alibaba Cloud
            "168.63.129.16",  # Azure's host agent
            "192.0.0.192",  # Oracle Cloud
        ),
    )
)
NAT64: Final = ip_network("64:ff9b::/96")
NUMERIC: Final = re.compile(r"(0x[0-9a-f]*|\d+)(\.(0x[0-9a-f]*|\d+))*", re.IGNORECASE)
"""Host forms that the C library reads as IPv4 addresses: `2130706433`, `0x7f.1`, `0177.0.0.1`."""


class EgressRefused(NeedsPerson):
    """The program may not connect there; the text says why, and which setting an administrator may change."""

    reason = "EgressRefused"


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """https to any public host; http, and private addresses, only to what an administrator allows.

    `allowed_hosts` are exact names or addresses, or `*.suffix` for every name below a suffix. `allow_loopback`
    opens this machine itself (`localhost`, 127.0.0.0/8, ::1). Link-local, multicast, unspecified and cloud
    metadata addresses are refused whatever the settings say.
    """

    allowed_hosts: tuple[str, ...] = ()
    allow_loopback: bool = False

    def check_url(self, url: httpx.URL) -> None:
        """Raise EgressRefused unless `url` may be asked, as far as its text tells."""
        if url.scheme not in ("http", "https"):
            raise EgressRefused(f"a URL begins with https://, not with {url.scheme[:20]!r}")
        if url.userinfo:
            raise EgressRefused("a URL must not contain a user or a password: put credentials into the Secret")
        host = _normal(url.raw_host.decode("ascii"))
        literal = _literal(host)
        if url.scheme == "http" and not (self.allows(host) or (self.allow_loopback and _names_loopback(host))):
            raise EgressRefused(
                f"http://{host} is not encrypted: use https, or have an administrator add {host!r} to allowed_hosts"
            )
        if literal is not None:
            self.check_address(host, literal)

    def check_address(self, host: str, address: Address | str) -> None:
        """Raise EgressRefused unless `address`, to which `host` resolved, may be connected to."""
        host = _normal(host)
        ip = _plain(ip_address(address))
        if _never(ip):
            raise EgressRefused(f"{host} is at {ip}, a link-local, metadata or reserved address: never allowed")
        if ip.is_loopback:
            self._check_loopback(host, ip)
        elif _names_loopback(host):
            raise EgressRefused(f"{host} must be this machine, but resolves to {ip}")
        elif not ip.is_global and not self.allows(host):
            raise EgressRefused(
                f"{host} is at {ip}, a private address: have an administrator add {host!r} to allowed_hosts"
            )

    def allows(self, host: str) -> bool:
        """Whether an administrator allowed this very host."""
        return any(_matches(pattern, _normal(host)) for pattern in self.allowed_hosts)

    def _check_loopback(self, host: str, ip: Address) -> None:
        if not self.allow_loopback:
            raise EgressRefused(f"{host} is this machine ({ip}), which the setting allow_loopback keeps closed")
        if not (_names_loopback(host) or self.allows(host)):
            raise EgressRefused(f"{host} resolves to this machine ({ip}); write localhost if that is meant")


def _normal(host: str) -> str:
    """Lower case, ASCII, without brackets and without the dot that ends a fully qualified name."""
    bare = host.lower().strip("[]").removesuffix(".")
    try:
        ascii_ = bare if bare.isascii() else idna.encode(bare).decode()
    except idna.IDNAError:
        ascii_ = ""
    if any(not label for label in ascii_.split(".")):
        raise EgressRefused(f"{host[:80]!r} is no host name")
    return ascii_


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        pass
    if NUMERIC.fullmatch(host):
        raise EgressRefused(f"{host[:80]!r} is an address in disguise: write it as four decimal numbers")
    return None


def _names_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return _plain(ip_address(host)).is_loopback
    except ValueError:
        return False


def _plain(ip: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, if it does: mapped, 6to4, NAT64."""
    if isinstance(ip, IPv4Address):
        return ip
    if ip in NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


def _never(ip: Address) -> bool:
    reserved = ip.is_reserved and not ip.is_loopback
    return ip.is_link_local or ip.is_multicast or ip.is_unspecified or reserved or ip in METADATA


def _matches(pattern: str, host: str) -> bool:
    if pattern.startswith("*."):
        return host.endswith("." + _normal(pattern.removeprefix("*.")))
    return host == _normal(pattern)
