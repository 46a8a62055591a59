"""The process of one delivery by Apprise: reads what to deliver as JSON from stdin, writes how it went to stdout.

Python tells its audit hooks of every connection before it is made, whichever library makes it; the hook here holds
them all to the egress policy. It guards against addresses, not against a plugin that means harm: those are part of
the locked installation.
"""

from __future__ import annotations

import json
import logging
import socket
import ssl
import sys
from collections.abc import Mapping
from typing import Any, Final

from reconciler.connectors.call import web_address
from reconciler.connectors.egress import EgressPolicy, EgressRefused
from reconciler.errors import NeedsPerson

FORBIDDEN: Final = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "syslog.openlog")
"""No notification needs another program, or this machine's log."""
PRIVATE: Final = ("/proc/", "/run/secrets/", "/var/run/secrets/")
"""Files that no parameter of a URL may name."""
SECONDS: Final = 50.0


class Guard:
    """Judges look-ups, connections and files; keeps the first refusal, which plugins take for a network's fault."""

    def __init__(self, policy: EgressPolicy) -> None:
        self.refused: str | None = None
        self._policy = policy
        self._judged: set[object] = set()
        self._getaddrinfo = socket.getaddrinfo
        self._mail_host = ""

    def stand(self) -> None:
        """Judge from now on, until the process ends."""
        socket.getaddrinfo = self._look_up
        sys.addaudithook(self._hear)

    def _look_up(self, host: Any, *args: Any, **named: Any) -> Any:
        found = self._getaddrinfo(host, *args, **named)
        for entry in found:
            self._check(lambda address=entry[4][0]: self._policy.check_address(str(host), address))
            self._judged.add(entry[4][0])
        return found

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
            self._check(lambda: self._connection(*args[:2]))
        elif event == "http.client.connect":
            self._check(lambda: self._web(*args[:3]))
        elif event == "smtplib.connect":
            self._mail_host = args[1]
        elif event == "smtplib.send":
            self._check(lambda: self._mail(*args[:2]))
        elif event in FORBIDDEN or (event == "open" and str(args[0]).startswith(PRIVATE)):
            self._check(lambda: self._never(event))

    def _connection(self, connection: socket.socket, address: Any) -> None:
        if connection.family not in (socket.AF_INET, socket.AF_INET6):
            raise EgressRefused("the URL leads to this machine, and not to a service")
        if address is not None and address[0] not in self._judged:
            self._policy.check_address(address[0], address[0])

    def _web(self, connection: Any, host: str, port: int) -> None:
        scheme = "https" if connection.default_port == 443 else "http"
        shown = f"[{host}]" if ":" in host else host
        self._policy.check_url(web_address(f"{scheme}://{shown}:{port}"))

    def _mail(self, session: Any, said: bytes) -> None:
        """Passwords and mails in the clear are for the hosts that HTTP in the clear is for."""
        if said[:4].upper() in (b"AUTH", b"MAIL") and not isinstance(session.sock, ssl.SSLSocket):
            self._policy.check_url(web_address(f"http://{self._mail_host}"))

    def _never(self, event: str) -> None:
        raise EgressRefused(f"the URL leads to this machine, and not to a service ({event})")

    def _check(self, judge: Any) -> None:
        try:
            judge()
        except (NeedsPerson, ValueError) as error:
            self.refused = self.refused or str(error)
            raise


class Heard(logging.Handler):
    """Keeps what Apprise says of failures."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(" ".join(record.getMessage().split())[:300])


def deliver(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Deliver, and say how it went: service, ok, said, refused."""
    from apprise import Apprise, AppriseAsset, PersistentStoreMode

    heard = Heard()
    log = logging.getLogger("apprise")
    log.handlers, log.propagate = [heard], False
    guard = Guard(EgressPolicy(tuple(asked["allowed_hosts"]), asked["allow_loopback"]))
    guard.stand()
    asset = AppriseAsset(
        storage_mode=PersistentStoreMode.MEMORY,
        service_timeout=SECONDS,
        allow_templates=False,
        async_mode=False,
        http_redirects=False,
        pem_autogen=False,
        pgp_autogen=False,
    )
    plugin = Apprise.instantiate(asked["url"], asset=asset)
    if plugin is None:
        return {"refused": guard.refused}
    ring = Apprise(asset=asset)
    ring.add(plugin)
    ok = ring.notify(body=asked["body"], title=asked["title"], notify_type=asked["type"], body_format="text")
    return {"service": str(plugin.service_name), "ok": bool(ok), "said": heard.lines[:5], "refused": guard.refused}


if __name__ == "__main__":
    answer = deliver(json.load(sys.stdin))
    sys.stdout.write(json.dumps(answer))
