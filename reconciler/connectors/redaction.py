"""Keeping secrets out of everything a person may read: messages, reprs, logs."""

from __future__ import annotations

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote, quote_plus

HIDDEN: Final = "***"
SHORTEST: Final = 4
"""Values shorter than this are no secrets, and hiding them would make every message unreadable."""

LINE: Final = 16
"""Lines of a secret of several lines (a PEM key) are hidden one by one from this length on."""


class Redactor:
    """Replaces secrets, and the forms in which they travel, by `***`."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._forms: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self._is_new = False
        for secret in secrets:
            self.hide(secret)

    def hide(self, secret: str) -> None:
        """Redact `secret` from now on, as it is and base64, URL, JSON and repr encoded; also line by line."""
        lines = (line.strip() for line in secret.splitlines())
        for value in {secret, secret.strip(), *(line for line in lines if len(line) >= LINE)}:
            if len(value) >= SHORTEST:
                self._forms.update(form for form in _forms(value) if len(form) >= SHORTEST)
                self._is_new = True

    def clean(self, text: str) -> str:
        """`text` without any secret."""
        if self._is_new:  # a pattern of many long forms takes its time, and most syncs have nothing to clean
            longest_first = sorted(self._forms, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE)
            self._is_new = False
        return self._pattern.sub(HIDDEN, text) if self._pattern else text

    def __repr__(self) -> str:
        return "Redactor()"


def _forms(secret: str) -> Iterator[str]:
    yield secret
    yield from (quote(secret), quote(secret, safe=""), quote_plus(secret))
    yield from (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1])
    yield from (b64encode(secret.encode()).decode(), urlsafe_b64encode(secret.encode()).decode())
    yield from _inside_base64(secret.encode())


def _inside_base64(secret: bytes) -> Iterator[str]:
    """What base64 makes of the secret wherever it starts within a longer text (`user:secret`): three alignments.

    The characters at either end that also carry neighbouring bytes are left out.
    """
    for before in range(3):
        padded = bytes(before) + secret
        first, last = -(-before * 4 // 3), len(padded) * 4 // 3
        if len(secret) >= SHORTEST:
            yield b64encode(padded).decode()[first:last]
            yield urlsafe_b64encode(padded).decode()[first:last]
