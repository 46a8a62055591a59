"""What is wrong with a manifest, told by file, line and field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.kinds.shape import dotted
from reconciler.manifests import Document
from reconciler.sources.base import Key

Steps = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong where, and what to do. `place` is `file:line`; `path` leads to the field, and may be empty."""

    place: str
    path: str
    message: str
    key: Key | None = None
    """The resource it is about, where that is known."""

    def __str__(self) -> str:
        return f"{self.place} {self.path}: {self.message}" if self.path else f"{self.place}: {self.message}"


@dataclass(frozen=True, slots=True)
class Item:
    """One object in a file: the document it is in, and the path to it there (of an item of a List)."""

    file: str
    document: Document
    at: Steps
    value: Mapping[str, Any] = field(repr=False)

    def place(self, path: Steps = ()) -> str:
        return f"{self.file}:{self.document.line((*self.at, *path))}"

    def text(self, path: Steps) -> str | None:
        return self.document.text((*self.at, *path))

    def problem(self, path: Steps, message: str, key: Key | None = None) -> Problem:
        return Problem(self.place(path), dotted(path), message, key)
