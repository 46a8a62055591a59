"""Exports in Blob storage, read by the reader of FOCUS files: a month is read again, whole, when a file changed."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from ledger.window import Span, Window
from reconciler.connectors.azure.container import CHANGED, Blob, Container
from reconciler.connectors.azure.delivery import Deliveries, Run
from reconciler.connectors.azure.refusal import GUIDE
from reconciler.connectors.azure.settings import AzureSettings
from reconciler.connectors.base import Account, Context
from reconciler.connectors.focus import Focus, FocusSettings
from reconciler.connectors.focus.files import File, Version
from reconciler.connectors.focus.tracking import Known, remembered
from reconciler.errors import NeedsPerson, RetryLater

ALL: Final = FocusSettings(files=("**",))
"""Settings of the reader of files, which is given its files below, and needs none to find them."""
KEPT: Final = 1024**3
"""Bytes of copies that are kept between looking at a file and reading it; what is beyond is brought twice."""
FACTS: Final = "manifest:"
"""What the keys of the memory begin with under which manifests are remembered; the manifest's name follows."""
NOTHING: Final = (
    "Azure has delivered no export of type FocusCost there yet: the first run takes up to 24 hours; check account, "
    f"container and prefix of azure.export. {GUIDE}"
)


class Export(Focus):
    """Reads the files that manifests name."""

    def __init__(self, settings: AzureSettings, container: Container, context: Context) -> None:
        super().__init__(ALL, context)
        prefix = settings.export.prefix if settings.export else ""
        self._container = container.name
        self._facts = {
            name.removeprefix(FACTS): fact for name, fact in context.memory.items() if name.startswith(FACTS)
        }
        self._deliveries = Deliveries(container, prefix, settings.scope, self._facts)
        self._copies = Copies(container, self._scratch)
        self._newest: Sequence[Run] | None = None
        self._since = context.now

    async def windows(self, due: Sequence[Span], history: Span) -> list[Window]:
        """The months of files that are new or changed, known as far as they were delivered."""
        self._since = history.start
        newest = await self.newest()

        def known(window: Window) -> Window:
            moments = [run.submitted for run in newest if run.span.overlaps(window.span)]
            seen = max(moments) if moments else window.seen_until
            return replace(window, seen_until=seen, remember={**window.remember, **self._found()})

        return [known(window) for window in await super().windows(due, history)]

    async def newest(self) -> Sequence[Run]:
        """The newest run of every period; asked for once. Raises NeedsPerson (NoFiles) when there is none."""
        if self._newest is None:
            self._newest = await self._deliveries.newest()
        if not self._newest:
            others = ", ".join(sorted(self._deliveries.others))
            told = f" There are exports of type {others}, which it does not read." if others else ""
            raise NeedsPerson(NOTHING + told, reason="NoFiles")
        return self._newest

    async def account(self) -> Account:
        """What there is, and of which scope; of the container where there are several."""
        newest = await self.newest()
        scopes, versions = ({getattr(run, name) for run in newest} for name in ("scope", "version"))
        last, months = max(run.submitted for run in newest), len({run.span.start for run in newest})
        told = f"{months} month{'' if months == 1 else 's'} of {len(scopes)} scope{'' if len(scopes) == 1 else 's'}"
        note = f"{told}, delivered last at {last:%FT%RZ}, in version {', '.join(sorted(versions))}."
        return Account(id=f"/{min(scopes)}" if len(scopes) == 1 else self._container, notes=(note,))

    async def files(self) -> Sequence[File]:
        """Those of the newest runs; of periods whose manifest is gone, or is the one known, those known."""
        by_run: dict[str, dict[str, Known]] = defaultdict(dict)
        for name, each in remembered(self.context.memory).items():
            if self._deliveries.is_meant(each.version.stamp["run"].rpartition(" ")[0]):
                by_run[each.version.stamp["run"]][name] = each
        found: list[File] = []
        for run in await self.newest():
            known = by_run.pop(run.key, {})
            if known or run.span.end > self._since:
                found += await self._of(run, known)
        return found + [self._known(name, each) for kept in by_run.values() for name, each in kept.items()]

    async def _of(self, run: Run, known: Mapping[str, Known]) -> Sequence[File]:
        stamps = [each.version.stamp for each in known.values()]
        if known and all(stamp["manifest"] == run.stamp and stamp["of"] == len(known) for stamp in stamps):
            return [self._known(name, each) for name, each in known.items()]
        try:
            files = await self._deliveries.files(run)
        except RetryLater as error:
            if error.reason != CHANGED:
                raise
            return [Unready(name, error) for name in known or [run.manifest.name]]
        stamp = {"run": run.key, "manifest": run.stamp, "of": len(files)}
        return [Delivered(each, stamp, self._copies) for each in files]

    def _known(self, name: str, known: Known) -> File:
        """A file as it was read: its name and its ETag are all that it takes to bring it again."""
        return Delivered(Blob(name, known.version.digest, self.context.now), known.version.stamp, self._copies)

    def _found(self) -> dict[str, Any]:
        """What is new of manifests, to be remembered, and which are gone."""
        now = self._deliveries.facts
        new = {f"{FACTS}{name}": fact for name, fact in now.items() if self._facts.get(name) != fact}
        return new | {f"{FACTS}{name}": None for name in self._facts if name not in now}


class Copies:
    """Temporary copies of files, few at a time."""

    def __init__(self, container: Container, folder: Path) -> None:
        self._container, self._folder = container, folder
        self._kept: dict[Path, int] = {}

    async def path(self, found: Blob) -> Path:
        """The copy of `found`, brought if there is none. Raises RetryLater if it is another by now."""
        path = self._path(found)
        if not path.exists():
            await self._container.bring(found, path)
        return path

    def leave(self, found: Blob) -> None:
        """Say that the copy was looked at: it stays for being read, while there is room, and goes after that."""
        path = self._path(found)
        is_read = self._kept.pop(path, None) is not None
        size = path.stat().st_size if path.exists() else 0
        if is_read or size + sum(self._kept.values()) > KEPT:
            path.unlink(missing_ok=True)
        else:
            self._kept[path] = size

    def _path(self, found: Blob) -> Path:
        return self._folder / hashlib.blake2b(f"{found.name} {found.etag}".encode(), digest_size=16).hexdigest()


class Delivered(File):
    """A data file; its version is its ETag."""

    def __init__(self, found: Blob, stamp: Mapping[str, object], copies: Copies) -> None:
        super().__init__(found.name)
        self._found, self._stamp, self._copies = found, stamp, copies

    async def version(self, known: Version | None) -> Version:
        return Version(self._found.etag, self._stamp)

    async def path(self, version: Version) -> Path:
        return await self._copies.path(self._found)

    async def check_still(self, version: Version) -> None:
        self._copies.leave(self._found)


class Unready(File):
    """A file in a month that Azure is writing just now."""

    def __init__(self, name: str, error: RetryLater) -> None:
        super().__init__(name)
        self._error = error

    async def version(self, known: Version | None) -> Version:
        raise self._error

    async def path(self, version: Version) -> Path:
        raise self._error

    async def check_still(self, version: Version) -> None:
        raise self._error
