"""Exports in S3, read by the reader of FOCUS files: a month is read again, whole, when a file of it changed."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from ledger.window import Span, Window
from reconciler.connectors.aws.bucket import CHANGED, Bucket, Object
from reconciler.connectors.aws.cur import CurReader, is_cur
from reconciler.connectors.aws.delivery import Deliveries, Delivery
from reconciler.connectors.aws.settings import ExportSettings
from reconciler.connectors.base import Context
from reconciler.connectors.focus import Focus, FocusSettings
from reconciler.connectors.focus.files import File, Version
from reconciler.connectors.focus.reader import Reader
from reconciler.connectors.focus.tracking import Known, remembered
from reconciler.errors import NeedsPerson, RetryLater

ALL: Final = FocusSettings(files=("**",))
"""Settings of the reader of files, which is given its files below, and needs none to find them."""
KEPT: Final = 1024**3
"""Bytes of copies that are kept between looking at a file and reading it; what is beyond is brought twice."""
NOTHING: Final = (
    "AWS has delivered nothing there yet: the first delivery takes up to 24 hours; check bucket, prefix and name of "
    "aws.export. See docs/connectors/aws.md."
)


class Export(Focus):
    """Reads the files that manifests name."""

    def __init__(self, export: ExportSettings, bucket: Bucket, context: Context) -> None:
        super().__init__(ALL, context)
        self._bucket, self._deliveries = bucket, Deliveries(bucket, export)
        self._copies = Copies(bucket, self._scratch)
        self._newest: Sequence[Delivery] | None = None
        self._since = context.now

    async def windows(self, due: Sequence[Span], history: Span) -> list[Window]:
        """The months of files that are new or changed, known as far as they were delivered."""
        self._since = history.start
        newest = await self.newest()

        def known(window: Window) -> Window:
            moments = [each.delivered for each in newest if each.month.overlaps(window.span)]
            return replace(window, seen_until=max(moments)) if moments else window

        return [known(window) for window in await super().windows(due, history)]

    async def newest(self) -> Sequence[Delivery]:
        """The newest delivery of every month; asked for once. Raises NeedsPerson (NoFiles) when there is none."""
        if self._newest is None:
            self._newest = await self._deliveries.newest()
        if not self._newest:
            raise NeedsPerson(NOTHING, reason="NoFiles")
        return self._newest

    async def files(self) -> Sequence[File]:
        """Those of the newest manifests; of months whose manifest is gone, or is the one known, those known."""
        before = remembered(self.context.memory)
        by_month: dict[str, dict[str, Known]] = defaultdict(dict)
        for name, each in before.items():
            by_month[each.version.stamp["month"]][name] = each
        found: list[File] = []
        for delivery in await self.newest():
            known = by_month.pop(f"{delivery.month.start:%Y-%m}", {})
            if known or delivery.month.end > self._since:
                found += await self._of(delivery, known)
        return found + [self._known(name, each) for kept in by_month.values() for name, each in kept.items()]

    async def _of(self, delivery: Delivery, known: Mapping[str, Known]) -> Sequence[File]:
        stamps = [each.version.stamp for each in known.values()]
        if all(stamp["manifest"] == delivery.stamp and stamp["of"] == len(known) for stamp in stamps) and known:
            return [self._known(name, each) for name, each in known.items()]
        try:
            files = await self._deliveries.files(delivery)
        except RetryLater as error:
            if error.reason != CHANGED:
                raise
            return [Unready(name, error) for name in known or [delivery.manifest.key]]
        stamp = {"month": f"{delivery.month.start:%Y-%m}", "manifest": delivery.stamp, "of": len(files)}
        return [Delivered(each, stamp, self._copies) for each in files]

    def reader(self, path: Path, name: str) -> Reader:
        """Of FOCUS as it is, and of CUR 2.0 in the shape of FOCUS."""
        found = super().reader(path, name)
        return CurReader(found) if is_cur(found) else found

    def _known(self, name: str, known: Known) -> File:
        """A file as it was read: its key and its ETag are all that it takes to bring it again."""
        return Delivered(Object(name, known.version.digest, self.context.now), known.version.stamp, self._copies)


class Copies:
    """Temporary copies of files, few at a time."""

    def __init__(self, bucket: Bucket, folder: Path) -> None:
        self._bucket, self._folder = bucket, folder
        self._kept: dict[Path, int] = {}

    async def path(self, found: Object) -> Path:
        """The copy of `found`, brought if there is none. Raises RetryLater if it is another by now."""
        path = self._path(found)
        if not path.exists():
            await self._bucket.bring(found, path)
        return path

    def leave(self, found: Object) -> None:
        """Say that the copy was looked at: it stays for being read, while there is room, and goes after that."""
        path = self._path(found)
        is_read = self._kept.pop(path, None) is not None
        size = path.stat().st_size if path.exists() else 0
        if is_read or size + sum(self._kept.values()) > KEPT:
            path.unlink(missing_ok=True)
        else:
            self._kept[path] = size

    def _path(self, found: Object) -> Path:
        return self._folder / hashlib.blake2b(f"{found.key} {found.etag}".encode(), digest_size=16).hexdigest()


class Delivered(File):
    """A data file; its version is its ETag."""

    def __init__(self, found: Object, stamp: Mapping[str, object], copies: Copies) -> None:
        super().__init__(found.key)
        self._found, self._stamp, self._copies = found, stamp, copies

    async def version(self, known: Version | None) -> Version:
        return Version(self._found.etag, self._stamp)

    async def path(self, version: Version) -> Path:
        return await self._copies.path(self._found)

    async def check_still(self, version: Version) -> None:
        self._copies.leave(self._found)


class Unready(File):
    """A file in a month that AWS is writing just now."""

    def __init__(self, name: str, error: RetryLater) -> None:
        super().__init__(name)
        self._error = error

    async def version(self, known: Version | None) -> Version:
        raise self._error

    async def path(self, version: Version) -> Path:
        raise self._error

    async def check_still(self, version: Version) -> None:
        raise self._error
