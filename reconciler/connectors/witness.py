"""Watching what a client asks and is answered, for `costhook try`: every text without the secrets in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from reconciler.connectors.redaction import Redactor


class Witness(Protocol):
    """Is told of every request as it is sent, and of every answer whose body was read whole."""

    def asked(self, method: str, url: str, headers: Mapping[str, str], body: str) -> None:
        """A request goes out."""

    def answered(self, status: int, headers: Mapping[str, str], body: str) -> None:
        """The newest request was answered."""


class Masking:
    """Passes on to `witness`, if there is one, what it may know."""

    def __init__(self, witness: Witness | None, redactor: Redactor) -> None:
        self._witness, self._redactor = witness, redactor

    def asked(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> None:
        if self._witness is not None:
            self._witness.asked(method, self._redactor.clean(url), self._cleaned(headers), self._text(body))

    def answered(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        if self._witness is not None:
            self._witness.answered(status, self._cleaned(headers), self._text(body))

    def _cleaned(self, headers: Mapping[str, str]) -> dict[str, str]:
        return {name: self._redactor.clean(value) for name, value in headers.items()}

    def _text(self, body: bytes) -> str:
        return self._redactor.clean(body.decode(errors="replace"))
