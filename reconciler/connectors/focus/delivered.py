"""Files that a cloud delivers to storage of its own: known by their ETags, and copied when they are looked at."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

from reconciler.connectors.focus.files import File, Version
from reconciler.errors import RetryLater

KEPT: Final = 1024**3
"""Bytes of copies that are kept between looking at a file and reading it; what is beyond is brought twice."""


class Copies:
    """Temporary copies of files, few at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: dict[Path, int] = {}

    async def path(self, name: str, etag: str, bring: Callable[[Path], Awaitable[None]]) -> Path:
        """The copy of a file, brought if there is none. Raises what `bring` raises."""
        path = self._path(name, etag)
        if not path.exists():
            await bring(path)
        return path

    def leave(self, name: str, etag: str) -> None:
        """Say that the copy was looked at: it stays for being read, while there is room, and goes after that."""
        path = self._path(name, etag)
        is_read = self._kept.pop(path, None) is not None
        size = path.stat().st_size if path.exists() else 0
        if is_read or size + sum(self._kept.values()) > KEPT:
            path.unlink(missing_ok=True)
        else:
            self._kept[path] = size

    def _path(self, name: str, etag: str) -> Path:
        return self._folder / hashlib.blake2b(f"{name} {etag}".encode(), digest_size=16).hexdigest()


class Delivered(File):
    """A data file; its version is its ETag. `bring` writes it to a path; RetryLater says that it is another by now."""

    def __init__(
        self,
        name: str,
        etag: str,
        bring: Callable[[Path], Awaitable[None]],
        stamp: Mapping[str, object],
        copies: Copies,
    ) -> None:
        super().__init__(name)
        self._etag, self._bring, self._stamp, self._copies = etag, bring, stamp, copies

    async def version(self, known: Version | None) -> Version:
        return Version(self._etag, self._stamp)

    async def path(self, version: Version) -> Path:
        return await self._copies.path(self.name, self._etag, self._bring)

    async def check_still(self, version: Version) -> None:
        self._copies.leave(self.name, self._etag)


class Unready(File):
    """A file that the cloud is writing just now."""

    def __init__(self, name: str, error: RetryLater) -> None:
        super().__init__(name)
        self._error = error

    async def version(self, known: Version | None) -> Version:
        raise self._error

    async def path(self, version: Version) -> Path:
        raise self._error

    async def check_still(self, version: Version) -> None:
        raise self._error
