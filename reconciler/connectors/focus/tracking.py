"""What is remembered of files between syncs, and what became of each since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from ledger.window import Span, Window
from reconciler.connectors.focus.coverage import Coverage, runs
from reconciler.connectors.focus.files import File, Version
from reconciler.errors import ReconcilerError

PREFIX: Final = "file:"
"""What the keys of the memory begin with; the file's name follows."""


@dataclass(frozen=True, slots=True)
class Known:
    """A file as it was read: which version, by which rules (settings that change what comes out), what it held."""

    version: Version
    rules: str
    coverage: Coverage

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self.version), "rules": self.rules, **self.coverage.to_json()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Known:
        """The reverse of `to_json`."""
        return cls(Version(value["digest"], value["stamp"]), value["rules"], Coverage.from_json(value))


@dataclass(frozen=True, slots=True)
class Tracked:
    """A file as it was and as it is. `file` is None when no entry of the settings means it any more.

    A `problem` makes every window unreadable that the file had rows in, or has as far as could be told.
    """

    name: str
    file: File | None = None
    before: Known | None = None
    now: Known | None = None
    problem: ReconcilerError | None = None

    @property
    def changed(self) -> bool:
        if self.before is None or self.now is None or self.problem is not None:
            return True
        return (self.before.version.digest, self.before.rules) != (self.now.version.digest, self.now.rules)

    @property
    def months(self) -> Sequence[Span]:
        """Those with rows of the file before or now."""
        states = (state.coverage for state in (self.before, self.now) if state is not None)
        return sum(states, start=Coverage()).months

    @property
    def until(self) -> datetime | None:
        return self.now.coverage.until if self.now is not None else None

    def touches(self, span: Span) -> bool:
        return any(month.overlaps(span) for month in self.months)


@dataclass(frozen=True, slots=True)
class Unplaced(Window):
    """Stands for a file of which not even the months can be told: reading it raises `problem`."""

    problem: ReconcilerError | None = None


def remembered(memory: Mapping[str, Any]) -> dict[str, Known]:
    """The files that earlier syncs read, by name."""
    return {key.removeprefix(PREFIX): Known.from_json(value) for key, value in memory.items() if key.startswith(PREFIX)}


def windows(files: Sequence[Tracked], history: Span) -> list[Window]:
    """The windows to read, newest first; those that cannot be read come last, lest they keep others waiting."""
    changed = [file for file in files if file.changed]
    placed = [_window(span, files) for span in runs(file.months for file in changed)]
    unplaced = [Unplaced(history, problem=file.problem) for file in changed if file.problem and not file.months]
    return sorted(placed, key=lambda window: _is_broken(window, files)) + unplaced


def _is_broken(window: Window, files: Sequence[Tracked]) -> bool:
    return any(file.problem is not None and file.touches(window.span) for file in files)


def _window(span: Span, files: Sequence[Tracked]) -> Window:
    there = [file for file in files if file.touches(span)]
    remember = {
        PREFIX + file.name: file.now.to_json() if file.now else None for file in there if file.now != file.before
    }
    return Window(span, seen_until=_newest(there) or _newest(files) or span.start, remember=remember)


def _newest(files: Sequence[Tracked]) -> datetime | None:
    """The end of the newest charge in any of the files as they are now."""
    return max((file.until for file in files if file.until is not None), default=None)
