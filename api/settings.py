"""What the API is told when it starts, and what it is told about the world around it."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from ledger.errors import NeedsPerson

if TYPE_CHECKING:
    from api.oidc import OidcSettings

LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""Names under which a browser reaches this machine; what else resolves to it is somebody's trick."""


def utc_now() -> datetime:
    """The clock of production."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorInfo:
    """What a connector says of itself, as the composition root passes it in. Periods are in whole days."""

    type: str
    title: str
    gives: str
    grain: str
    reach_days: int | None
    settling_days: float
    moving_days: float
    rate_limit: str | None
    call_cost: str | None
    origin: str
    guide: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """Settings of the API. Times are in seconds, sizes in bytes."""

    host: str
    """The address listened on."""
    authentication: bool = False
    """Whether every request must prove who asks. Without it only this machine itself is served."""
    oidc: OidcSettings | None = None
    """The identity provider whose JWTs are accepted beside API tokens."""
    kubernetes: str | None = None
    """The cluster whose tokens are accepted and whose RBAC decides about their owners: in-cluster, or a kubeconfig."""
    allowed_hosts: tuple[str, ...] = ()
    """Names the API is reached under, as in the Host header; needed only with authentication, empty: any."""
    allowed_origins: tuple[str, ...] = ()
    """Web origins other than the API's own whose pages may call it."""
    schema_step: str
    """The newest step of the migrations; the API is not ready on another one."""
    body_bytes: int = 128 * 1024
    body_seconds: float = 10
    query_seconds: float = 20
    clock: Callable[[], datetime] = utc_now

    def __post_init__(self) -> None:
        if not self.authentication and not is_loopback(self.host):
            raise NeedsPerson(
                f"listening on {self.host} would let everyone who reaches it read all costs; listen on 127.0.0.1, or "
                "ask for authentication with --authentication"
            )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
