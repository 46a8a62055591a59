"""Files behind a URL: told apart by what the server says of them, and brought to a temporary file to be read."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from reconciler.connectors.focus.files import File, Version, new_digest
from reconciler.connectors.http import Answer, VendorClient
from reconciler.errors import RetryLater

STAMP: Final = ("etag", "last-modified", "content-length")
"""Headers that differ when the file does; a server that sends neither of the first two is read every time."""


class RemoteFile(File):
    """A file behind `url`, of which each version is brought at most once into the folder `scratch`.

    What follows the question mark may be a signature: it is kept out of the name, of which a hash stands for it.
    """

    def __init__(self, url: str, http: VendorClient, scratch: Path) -> None:
        super().__init__(_name(url))
        self._url, self._http = url, http
        self._copy = scratch / hashlib.blake2b(url.encode(), digest_size=16).hexdigest()
        self._version: Version | None = None

    async def version(self, known: Version | None) -> Version:
        async with self._http.stream("GET", self._url) as answer:
            stamp = _stamp(answer.headers)
            if known is not None and known.stamp == stamp and (stamp["etag"] or stamp["last-modified"]):
                return known
            self._version = Version(await self._bring(answer), stamp)
        return self._version

    async def path(self, version: Version) -> Path:
        if self._version is None:
            await self.version(None)
        await self.check_still(version)
        return self._copy

    async def check_still(self, version: Version) -> None:
        if self._version is None or self._version.digest != version.digest:
            raise self.changed()

    async def _bring(self, answer: Answer) -> str:
        """Write the body to the copy and return its digest."""
        digest = new_digest()
        try:
            with await asyncio.to_thread(self._copy.open, "wb") as copy:
                async for chunk in answer.chunks():
                    digest.update(chunk)
                    copy.write(chunk)
        except OSError as error:
            raise RetryLater(
                f"{self.name} cannot be copied to a temporary file: {error.strerror}", reason="NoSpace"
            ) from error
        return str(digest.hexdigest())


def _stamp(headers: Mapping[str, str]) -> dict[str, Any]:
    return {name: headers.get(name) for name in STAMP}


def _name(url: str) -> str:
    parts = urlsplit(url)
    shown = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
    if not parts.query:
        return shown
    return f"{shown}?{hashlib.blake2b(parts.query.encode(), digest_size=4).hexdigest()}"
