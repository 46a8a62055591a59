"""Exports in S3, read by the reader of FOCUS files: a month is read again, whole, when a file of it changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from ledger.window import Span, Window
from reconciler.connectors.aws.bucket import CHANGED, Bucket, Object
from reconciler.connectors.aws.cur import CurReader, is_cur
from reconciler.connectors.aws.delivery import Deliveries, Delivery
from reconciler.connectors.aws.settings import ExportSettings
from reconciler.connectors.base import Context
from reconciler.connectors.focus import Focus, FocusSettings
from reconciler.connectors.focus.delivered import Copies, Delivered, Unready
from reconciler.connectors.focus.files import File
from reconciler.connectors.focus.reader import Reader
from reconciler.connectors.focus.tracking import Known, remembered
from reconciler.errors import NeedsPerson, RetryLater

ALL: Final = FocusSettings(files=("**",))
"""Settings of the reader of files, which is given its files below, and needs none to find them."""
NOTHING: Final = (
    "AWS has delivered nothing there yet: the first delivery takes up to 24 hours; check bucket, prefix and name of "
    "aws.export. See docs/connectors/aws.md."
)


class Export(Focus):
    """Reads the files that manifests name."""

    def __init__(self, export: ExportSettings, bucket: Bucket, context: Context) -> None:
        super().__init__(ALL, context)
        self._bucket, self._deliveries = bucket, Deliveries(bucket, export)
        self._copies = Copies(self._scratch)
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
        return [self._delivered(each, stamp) for each in files]

    def reader(self, path: Path, name: str) -> Reader:
        """Of FOCUS as it is, and of CUR 2.0 in the shape of FOCUS."""
        found = super().reader(path, name)
        return CurReader(found) if is_cur(found) else found

    def _known(self, name: str, known: Known) -> File:
        """A file as it was read: its key and its ETag are all that it takes to bring it again."""
        return self._delivered(Object(name, known.version.digest, self.context.now), known.version.stamp)

    def _delivered(self, found: Object, stamp: Mapping[str, object]) -> File:
        return Delivered(found.key, found.etag, partial(self._bucket.bring, found), stamp, self._copies)
