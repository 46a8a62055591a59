"""Exports in Blob storage, read by the reader of FOCUS files: a month is read again, whole, when a file changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from ledger.window import Span, Window
from reconciler.connectors.azure.container import CHANGED, Blob, Container
from reconciler.connectors.azure.delivery import Deliveries, Run
from reconciler.connectors.azure.refusal import GUIDE
from reconciler.connectors.azure.settings import AzureSettings
from reconciler.connectors.base import Account, Context
from reconciler.connectors.focus import Focus, FocusSettings
from reconciler.connectors.focus.delivered import Copies, Delivered, Unready
from reconciler.connectors.focus.files import File
from reconciler.connectors.focus.tracking import Known, remembered
from reconciler.errors import NeedsPerson, RetryLater

ALL: Final = FocusSettings(files=("**",))
"""Settings of the reader of files, which is given its files below, and needs none to find them."""
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
        self._container = container
        self._facts = {
            name.removeprefix(FACTS): fact for name, fact in context.memory.items() if name.startswith(FACTS)
        }
        self._deliveries = Deliveries(container, prefix, settings.scope, self._facts)
        self._copies = Copies(self._scratch)
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
        return Account(id=f"/{min(scopes)}" if len(scopes) == 1 else self._container.name, notes=(note,))

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
        return [self._delivered(each, stamp) for each in files]

    def _known(self, name: str, known: Known) -> File:
        """A file as it was read: its name and its ETag are all that it takes to bring it again."""
        return self._delivered(Blob(name, known.version.digest, self.context.now), known.version.stamp)

    def _found(self) -> dict[str, Any]:
        """What is new of manifests, to be remembered, and which are gone."""
        now = self._deliveries.facts
        new = {f"{FACTS}{name}": fact for name, fact in now.items() if self._facts.get(name) != fact}
        return new | {f"{FACTS}{name}": None for name in self._facts if name not in now}

    def _delivered(self, found: Blob, stamp: Mapping[str, object]) -> File:
        return Delivered(found.name, found.etag, partial(self._container.bring, found), stamp, self._copies)
