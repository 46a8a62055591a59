"""The server's half of HTTP digest authentication (RFC 7616), worked out by itself."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from reconciler.connectors.scripted import Reply, Request

Handler = Callable[[Request], Reply]
FIELD = re.compile(r'(\w+)=(?:"([^"]*)"|([^", ]*))')
HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}


@dataclass
class Guard:
    """Lets requests through whose digest is right; any other is challenged by `refusal` with a nonce of its own."""

    user: str
    password: str
    algorithm: str = "MD5"
    qop: str | None = "auth"
    refusal: Reply = field(default_factory=lambda: Reply.json({"error": 401}, 401))
    nonce: str = "nonce-1"
    challenges: int = 0

    def behind(self, handler: Handler) -> Handler:
        """`handler`, for those who have the password."""
        return lambda request: handler(request) if self.admits(request) else self.challenge()

    def challenge(self) -> Reply:
        """What somebody without a digest, or with one of another nonce, is answered."""
        self.challenges += 1
        qop = f', qop="{self.qop}"' if self.qop else ""
        told = f'Digest realm="vendor", nonce="{self.nonce}", algorithm={self.algorithm}{qop}'
        headers = {**self.refusal.headers, "WWW-Authenticate": told}
        return Reply(self.refusal.status, self.refusal.body, headers)

    def admits(self, request: Request) -> bool:
        """Whether the request carries the digest of the password, its method, its target and the nonce."""
        kind, _, fields = request.headers.get("authorization", "").partition(" ")
        if kind != "Digest":
            return False
        told = {name: text or bare for name, text, bare in FIELD.findall(fields)}
        secret = self._hash(f"{self.user}:vendor:{self.password}")
        target = self._hash(f"{request.method}:{request.target}")
        parts = [told["nc"], told["cnonce"], "auth"] if self.qop else []
        expected = self._hash(":".join([secret, self.nonce, *parts, target]))
        return (told["username"], told["nonce"], told["response"]) == (self.user, self.nonce, expected)

    def _hash(self, text: str) -> str:
        return HASHES[self.algorithm](text.encode()).hexdigest()
