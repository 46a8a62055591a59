"""Files beside the manifest: finding them, telling whether they changed, and keeping out of everything else."""

from __future__ import annotations

import asyncio
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from reconciler.errors import BadData, NeedsPerson, RetryLater


@dataclass(frozen=True, slots=True)
class Version:
    """A state of a file: its digest, and a stamp that is cheap to take and differs when the file does."""

    digest: str
    stamp: Mapping[str, Any]


class File(ABC):
    """A file of billing data. `name` is shown and remembered, and tells it from all others of the Provider."""

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    async def version(self, known: Version | None) -> Version:
        """The version there is now; its bytes are read only if its stamp is not that of the `known` one.

        Raises RetryLater, NeedsPerson.
        """

    @abstractmethod
    async def path(self, version: Version) -> Path:
        """Where the bytes of `version` lie. Raises RetryLater when there is another version by now."""

    @abstractmethod
    async def check_still(self, version: Version) -> None:
        """Raise RetryLater if the bytes that were read may not have been those of `version`."""

    def changed(self) -> RetryLater:
        """The error that says that the file changed while it was read."""
        return RetryLater(f"{self.name} changed while it was read; it is read again", reason="FileChanged")


class LocalFile(File):
    """A file below the manifest's folder. Its stamp is its size and its times of change.

    The time of the inode's change is one of them, since tools that copy files keep the other as it was.
    """

    def __init__(self, name: str, path: Path) -> None:
        super().__init__(name)
        self._path = path

    async def version(self, known: Version | None) -> Version:
        return await asyncio.to_thread(self._version, known)

    async def path(self, version: Version) -> Path:
        await self.check_still(version)
        return self._path

    async def check_still(self, version: Version) -> None:
        if await asyncio.to_thread(self._stamp) != version.stamp:
            raise self.changed()

    def _version(self, known: Version | None) -> Version:
        stamp = self._stamp()
        if known is not None and known.stamp == stamp:
            return known
        return Version(self._digest(), stamp)

    def _stamp(self) -> Mapping[str, Any]:
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            raise self.changed() from None
        return {"mtime": stat.st_mtime_ns, "ctime": stat.st_ctime_ns, "size": stat.st_size}

    def _digest(self) -> str:
        try:
            with self._path.open("rb") as file:
                return hashlib.file_digest(file, new_digest).hexdigest()
        except FileNotFoundError:
            raise self.changed() from None
        except OSError as error:
            raise BadData(f"{self.name} cannot be read: {error.strerror}", reason="BadFile") from error


def new_digest() -> Any:
    """The hash that tells one content from another."""
    return hashlib.blake2b(digest_size=16)


def find(folder: Path, patterns: Sequence[str]) -> list[LocalFile]:
    """The files that any of the patterns matches, once each, by name; hidden ones are left out.

    Raises NeedsPerson for a file that lies outside of the folder, however a link hides it.
    """
    root = folder.resolve()
    found = {path: name for pattern in patterns for name, path in _matches(folder, root, pattern)}
    return sorted((LocalFile(name, path) for path, name in found.items()), key=lambda file: file.name)


def _matches(folder: Path, root: Path, pattern: str) -> Iterator[tuple[str, Path]]:
    # Before Python 3.13 a closing ** matches folders alone.
    for match in folder.glob(f"{pattern}/*" if PurePosixPath(pattern).name == "**" else pattern):
        shown = match.relative_to(folder)
        if any(part.startswith(".") for part in shown.parts) or not match.is_file():
            continue
        path = match.resolve()
        if not path.is_relative_to(root):
            raise NeedsPerson(f"{shown.as_posix()} leads out of the manifest's folder; put the file itself there")
        yield path.relative_to(root).as_posix().encode("utf-8", "backslashreplace").decode(), path


def is_address(entry: str) -> bool:
    """Whether an entry of `files` is a URL rather than a pattern."""
    return "://" in entry
