"""What Azure has delivered: runs of exports, each with a manifest that names its files and is written last.

Runs repeat: every run of a month-to-date export holds the whole month so far, in a folder of its own or over the former
one, so that of one scope and period the run that was submitted last counts, and it alone. Paths say nothing for sure;
manifests do. Source: learn.microsoft.com/azure/cost-management-billing/costs/tutorial-improved-exports and the data
processing of the FinOps toolkit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any, Final

from pydantic import Field

from ledger.window import DAY, Span, midnight
from reconciler.connectors.answer import parse
from reconciler.connectors.azure.container import Blob, Container, changed
from reconciler.connectors.azure.refusal import GUIDE
from reconciler.connectors.reading import Answer, read
from reconciler.errors import NeedsPerson

FOCUS: Final = "focuscost"
EXPORTS: Final = "/providers/microsoft.costmanagement/exports/"
MANIFEST: Final = "manifest.json"


class Exported(Answer):
    """Which export it is."""

    name: str = Field(alias="exportName")
    path: str = Field(alias="resourceId")
    version: str | None = Field(default=None, alias="dataVersion")
    type: str


class Info(Answer):
    """Which run of it; the days are both part of the period."""

    submitted: datetime = Field(alias="submittedTime")
    first: datetime = Field(alias="startDate")
    last: datetime = Field(alias="endDate")


class Part(Answer):
    """A file, by its name in the container."""

    name: str = Field(alias="blobName")


class Kind(Answer):
    """What is known of a run whatever it exports."""

    exported: Exported = Field(alias="exportConfig")

    @property
    def is_focus(self) -> bool:
        return self.exported.type.casefold() == FOCUS


class Manifest(Kind):
    """What is written beside a run's files when they are all there."""

    info: Info = Field(alias="runInfo")
    parts: Sequence[Part] | None = Field(default=None, alias="blobs")


@dataclass(frozen=True, slots=True)
class Run:
    """A run that delivered files."""

    manifest: Blob
    scope: str
    version: str
    span: Span
    submitted: datetime

    @property
    def key(self) -> str:
        """What runs have in common of which only the newest counts: the scope and the period's beginning."""
        return f"{self.scope} {self.span.start:%F}"

    @property
    def stamp(self) -> str:
        """What tells this delivery from others."""
        return f"{self.manifest.etag} {self.manifest.modified.isoformat()}"


class Deliveries:
    """Looks into the container. `facts` are what earlier looks found in manifests, by their names."""

    def __init__(self, container: Container, prefix: str, scope: str | None, facts: Mapping[str, Any]) -> None:
        self._container, self._prefix = container, f"{prefix}/" if prefix else ""
        self._scope = _scope(scope) if scope else None
        self._facts = facts
        self.facts: dict[str, Any] = {}
        """What was found this time, for every manifest there is."""
        self._there: dict[str, Blob] = {}

    async def newest(self) -> list[Run]:
        """The newest run of every scope and period, oldest period first.

        Raises NeedsPerson where two of them would count the same costs twice.
        """
        self._there = {each.name: each for each in await self._container.blobs(self._prefix)}
        for blob in self._there.values():
            if blob.name.rpartition("/")[2] == MANIFEST:
                self.facts[blob.name] = await self._fact(blob)
        found: dict[str, Run] = {}
        for run in sorted(self._runs(), key=lambda run: (run.submitted, run.manifest.name)):
            found[run.key] = run
        newest = sorted(found.values(), key=lambda run: (run.span, run.scope))
        _check_apart(newest)
        return newest

    @property
    def others(self) -> set[str]:
        """The types of the exports that are there and are not FOCUS."""
        return {fact["type"] for fact in self.facts.values() if fact["type"].casefold() != FOCUS}

    def is_meant(self, scope: str) -> bool:
        """Whether exports of `scope` are to be read."""
        return self._scope in (None, scope)

    async def files(self, run: Run) -> Sequence[Blob]:
        """The data files that the run's manifest names. Raises RetryLater while Azure writes others over them."""
        content = parse(await self._container.content(run.manifest))
        manifest = read(Manifest, content, run.manifest.name)
        names = list(dict.fromkeys(part.name.lstrip("/") for part in manifest.parts or ()))
        found = [self._there[name] for name in names if name in self._there]
        if len(found) < len(names) or any(each.modified > run.manifest.modified for each in found):
            raise changed(f"the export of {run.span.start:%Y-%m}")
        return found

    async def _fact(self, blob: Blob) -> Any:
        known = self._facts.get(blob.name)
        if known is not None and known["etag"] == blob.etag:
            return known
        content = parse(await self._container.content(blob))
        kind = read(Kind, content, blob.name)
        if not kind.is_focus:
            return {"etag": blob.etag, "type": kind.exported.type}
        manifest = read(Manifest, content, blob.name)
        return {
            "etag": blob.etag,
            "scope": _scope(manifest.exported.path),
            "type": manifest.exported.type,
            "version": manifest.exported.version or "",
            "first": _day(manifest.info.first).isoformat(),
            "last": _day(manifest.info.last).isoformat(),
            "submitted": _utc(manifest.info.submitted).isoformat(),
            "files": len(manifest.parts or ()),
        }

    def _runs(self) -> Iterable[Run]:
        """The runs of FOCUS exports that delivered files: an empty one is no month without costs."""
        for name, fact in self.facts.items():
            if fact["type"].casefold() == FOCUS and fact["files"] and self.is_meant(fact["scope"]):
                first, last = (midnight(date.fromisoformat(fact[each])) for each in ("first", "last"))
                submitted = datetime.fromisoformat(fact["submitted"])
                yield Run(self._there[name], fact["scope"], fact["version"], Span(first, last + DAY), submitted)


def _check_apart(runs: Sequence[Run]) -> None:
    """Raise NeedsPerson where runs overlap: periods of one scope, or scopes that lie in one another."""
    by_scope: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        by_scope[run.scope].append(run)
    for scope, own in by_scope.items():
        for earlier, later in pairwise(own):
            if earlier.span.end - DAY > later.span.start:  # a period's last day may be told as the next one's first
                raise NeedsPerson(_twice(scope, earlier, later))
    billing = [scope for scope in by_scope if scope.startswith("providers/")]
    within = next((each for each in by_scope for other in by_scope if each.startswith(f"{other}/")), None)
    if within or (billing and len(by_scope) > 1):
        raise NeedsPerson(
            f"Exports of several scopes lie there, and one may hold the other's costs: {', '.join(sorted(by_scope))}. "
            f"Name the one to read in azure.scope. {GUIDE}"
        )


def _twice(scope: str, earlier: Run, later: Run) -> str:
    shown = " and ".join(f"{run.span.start:%F} to {run.span.end - DAY:%F}" for run in (earlier, later))
    return (
        f"Exports of {scope} hold the same days twice: {shown}. Let each export have whole months, or a directory of "
        f"its own. {GUIDE}"
    )


def _scope(path: str) -> str:
    """The scope that an export is of, by its path, in one spelling."""
    return path.casefold().partition(EXPORTS)[0].strip("/")


def _day(moment: datetime) -> date:
    return _utc(moment).date()


def _utc(moment: datetime) -> datetime:
    """Times without a zone are UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
