"""Secrets kept in files of their own, out of git: `DIR/secrets/NAME/KEY` holds the value of one key."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from reconciler.errors import NeedsPerson
from reconciler.kinds.forms import SUBDOMAIN

FOLDER: Final = "secrets"
MAX_BYTES: Final = 1024 * 1024
"""What a Secret may hold in a cluster."""

Marks = Mapping[str, tuple[tuple[str, int, int], ...]]
"""Of each Secret's files: name, time of change and size, from which an edit shows."""


def marks(root: Path) -> Marks:
    """Every Secret under `root` that has files, without reading them."""
    folder = root / FOLDER
    return {path.name: tuple(_marks(path)) for path in _listed(folder) if _named(path.name)}


def read(root: Path, name: str) -> dict[str, str]:
    """The values by key, each without the newline at its end; empty where there are none. Raises NeedsPerson."""
    if not _named(name):
        return {}
    return {path.name: _value(root, path) for path in _files(root / FOLDER / name)}


def _marks(folder: Path) -> Iterator[tuple[str, int, int]]:
    for path in _files(folder):
        with suppress(FileNotFoundError):  # it went between listing and looking
            stat = path.stat()
            yield path.name, stat.st_mtime_ns, stat.st_size


def _files(folder: Path) -> list[Path]:
    return [path for path in _listed(folder) if path.is_file() and not path.name.startswith(".")]


def _listed(folder: Path) -> list[Path]:
    """What lies in the folder, in order; nothing where there is no such folder, or none that may be listed."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _value(root: Path, path: Path) -> str:
    place = path.relative_to(root).as_posix()
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise NeedsPerson(f"{place} is larger than 1 MB, which no Secret may be", reason="InvalidSecret")
        return content.decode().removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise NeedsPerson(f"{place} cannot be read: {error.strerror}", reason="InvalidSecret") from None
    except UnicodeDecodeError:
        raise NeedsPerson(f"{place} is not UTF-8 text; save the credential as text", reason="InvalidSecret") from None


def _named(name: str) -> bool:
    """Whether a Secret can have this name; no other leads to a file."""
    return re.fullmatch(SUBDOMAIN, name) is not None
