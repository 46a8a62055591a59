"""FOCUS files: billing data that a vendor or a tool exports in the format of the FinOps Foundation.

What is read is decided by the files, not by the calendar: a file that did not change is not read again, and
one that did is read whole, together with all others that have rows in its months.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from datetime import UTC, timedelta, tzinfo
from functools import cached_property
from pathlib import Path
from typing import Annotated, ClassVar, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator

from ledger.charge import Charge
from ledger.columns import Columns
from ledger.window import Span, Window
from reconciler.connectors.base import Account, Connector, Settings, Traits
from reconciler.connectors.focus import tracking
from reconciler.connectors.focus.coverage import Coverage, survey
from reconciler.connectors.focus.files import File, find, is_address
from reconciler.connectors.focus.formats import Format, reader
from reconciler.connectors.focus.reader import Reader
from reconciler.connectors.focus.remote import RemoteFile
from reconciler.connectors.focus.rows import batches
from reconciler.connectors.focus.tracking import Known, Tracked, Unplaced
from reconciler.connectors.rules import rules
from reconciler.errors import NeedsPerson, ReconcilerError

READING: Final = 1
"""Goes up when the same file would come out differently, so that every file is read once more."""


Entry = Annotated[
    str,
    Field(
        max_length=1024,
        json_schema_extra=rules(
            (
                r"self.contains('://') || !self.matches('^(([.](/+|$))*$|/)|(^|/)[.][.](/|$)')",
                "must be a path below the manifest's folder, such as exports/*.csv, or an https:// address",
            ),
            (
                "self.contains('://') || !self.matches('[^/][*][*]|[*][*][^/]')",
                "** stands for folders and must be a whole part of the path, as in a/**/*.csv",
            ),
            (
                "!self.matches('^[sS]3://')",
                "s3:// cannot be read; copy the files to a folder, as by `aws s3 sync`, or name https:// addresses",
            ),
            (
                "!self.contains('://') || self.matches('^([sS]3|[hH][tT][tT][pP][sS]?)://([^/?#@]*@)?[^/?#@:]')",
                "must be an https:// address or a path below the manifest's folder",
            ),
            (
                "!self.matches('^[^/?#]*://[^/?#]*@')",
                "an address must not hold a user name or a password: manifests are no place for secrets",
            ),
        ),
    ),
]
"""A pattern below the manifest's folder, or an address."""


class FocusSettings(Settings):
    """The block `spec.focus` of a Provider."""

    files: tuple[Entry, ...] = Field(
        description="Files to read: patterns below the manifest's folder, such as exports/**/*.csv, and https:// "
        "addresses. CSV, JSON lines or Parquet, each also as gzip.",
        min_length=1,
        max_length=256,
    )
    time_zone: str = Field(
        default="UTC",
        alias="timeZone",
        description="Time zone of the times in the files that name none, and of the months they are read by.",
    )
    format: Format | None = Field(
        default=None, description="Format of all the files: csv, jsonl or parquet. Told by their content if absent."
    )

    @field_validator("time_zone")
    @classmethod
    def _check_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{name!r} is no time zone; write one such as Europe/Berlin or UTC") from None
        return name


class Focus(Connector[FocusSettings]):
    """Reads FOCUS files beside the manifest or behind https:// addresses."""

    Settings = FocusSettings
    traits: ClassVar[Traits] = Traits(
        type="focus",
        title="FOCUS files",
        origin="file",
        gives="Every line of the files: costs and quantities by service, account, region, resource, SKU and tags.",
        grain="Line",
        reach=None,
        settling=timedelta(0),
        moving=timedelta(0),
    )

    _looked_at: Sequence[Tracked] | None = None

    async def check(self) -> Account:
        files = await self.files()
        return Account(notes=(f"{len(files)} files",))

    async def windows(self, due: Sequence[Span], history: Span) -> list[Window]:
        """The months of files that are new, changed or gone; `due` does not matter, since files do not age."""
        return tracking.windows(await self._tracked(), history)

    async def charges(self, window: Window) -> AsyncIterator[Sequence[Charge]]:
        if isinstance(window, Unplaced) and window.problem is not None:
            raise window.problem
        there = [file for file in await self._tracked() if file.touches(window.span)]
        for file in there:
            if file.problem is not None:
                raise file.problem
        for file in there:
            if file.file is not None and file.now is not None and file.now.coverage.touches(window.span):
                async for batch in self._read(file.file, file.now, window.span):
                    yield batch

    async def files(self) -> Sequence[File]:
        """The files to read, once each; connectors that find theirs elsewhere have a method of their own.

        Raises NeedsPerson when there is none.
        """
        return await asyncio.to_thread(self._files)

    async def _read(self, file: File, known: Known, span: Span) -> AsyncIterator[Sequence[Charge]]:
        path = await file.path(known.version)
        try:
            source = await asyncio.to_thread(self.reader, path, file.name)
            async with aclosing(_ahead(batches(source, self._zone, span))) as found:
                async for batch in found:
                    yield batch
        except ReconcilerError:
            await file.check_still(known.version)  # a change while it was read explains any error
            raise
        await file.check_still(known.version)

    async def _tracked(self) -> Sequence[Tracked]:
        """Every file there is or was; looked at once in the connector's life."""
        if self._looked_at is None:
            before = tracking.remembered(self.context.memory)
            files = await self.files()
            now = [await self._look(file, before.pop(file.name, None)) for file in files]
            self._looked_at = [*now, *(Tracked(name, before=known) for name, known in before.items())]
        return self._looked_at

    async def _look(self, file: File, before: Known | None) -> Tracked:
        """What became of a file since `before`; any error is kept for the windows it concerns."""
        try:
            version = await file.version(before.version if before else None)
            if before is not None and (before.version.digest, before.rules) == (version.digest, self._rules):
                return Tracked(file.name, file, before, Known(version, self._rules, before.coverage))
            path = await file.path(version)
            coverage, problem = await asyncio.to_thread(self._survey, path, file.name)
            await file.check_still(version)
        except ReconcilerError as error:
            return Tracked(file.name, file, before, problem=error)
        return Tracked(file.name, file, before, Known(version, self._rules, coverage), problem)

    def _survey(self, path: Path, name: str) -> tuple[Coverage, ReconcilerError | None]:
        return survey(self.reader(path, name), self._zone)

    def reader(self, path: Path, name: str) -> Reader:
        """What reads a file's rows; connectors whose files are of another shape give it that of FOCUS here."""
        return reader(path, name, self.settings.format)

    def _files(self) -> list[File]:
        """The files that the settings mean. Raises NeedsPerson when there is none."""
        patterns = [entry for entry in self.settings.files if not is_address(entry)]
        addresses = dict.fromkeys(entry for entry in self.settings.files if is_address(entry))
        folder = self.context.folder
        if patterns and folder is None:
            raise NeedsPerson(f"there are no files beside a manifest in a cluster: {patterns[0]!r} must be https://...")
        files: list[File] = [*find(folder, patterns)] if folder is not None else []
        files += [RemoteFile(address, self.http, self._scratch) for address in addresses]
        if not files:
            raise NeedsPerson(
                f"no file matches {', '.join(patterns)} in the manifest's folder; what was read before stays",
                reason="NoFiles",
            )
        return files

    @cached_property
    def _zone(self) -> tzinfo:
        return UTC if self.settings.time_zone == "UTC" else ZoneInfo(self.settings.time_zone)

    @cached_property
    def _rules(self) -> str:
        return f"{READING} {self.settings.time_zone} {self.settings.format or 'any'}"

    @cached_property
    def _scratch(self) -> Path:
        """A temporary folder that goes when the connector does."""
        folder = tempfile.mkdtemp(prefix="costhook-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return Path(folder)


async def _ahead(found: Iterator[Columns]) -> AsyncGenerator[Columns, None]:
    """Batches as they come, each read in a thread while the one before it is worked with."""
    coming = asyncio.ensure_future(asyncio.to_thread(next, found, None))
    try:
        while (batch := await coming) is not None:
            coming = asyncio.ensure_future(asyncio.to_thread(next, found, None))
            yield batch
    finally:
        await asyncio.wait([coming])  # lest the file is closed under the thread that reads it
        if not coming.cancelled():
            coming.exception()  # whoever stopped asking does not want to know
