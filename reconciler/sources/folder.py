"""Looks at a folder of manifests, and keeps what is broken now as it was last good.

A resource whose file, or whose own manifest, cannot be read any more stays as it was; it goes only when a file
that can be read whole no longer declares it. The first file to declare a name keeps it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from reconciler import objects
from reconciler.kinds.catalogue import Kind
from reconciler.kinds.reading import spec_faults
from reconciler.objects import Manifest, Secret
from reconciler.problems import Problem
from reconciler.sources import keyfiles
from reconciler.sources.base import API_VERSION, Key, Resource
from reconciler.sources.state import Held, Opened, State

SUFFIXES: Final = (".yaml", ".yml")
FEEDS: Final = frozenset({"ManualCost", "Provider"})
"""Kinds that feed the ledger under their name, so that two of them in a namespace cannot share one."""


def look(root: Path, kinds: Mapping[str, Kind], before: State) -> State:
    """The folder as it is now. Files that did not change since `before` are not read again."""
    closed: dict[str, str] = {}
    files = dict(_opened(root, kinds, before.files, closed))
    if "." in closed:
        return replace(before, closed=frozenset(closed), problems={**before.problems, **_shut(closed)})
    kept = {name: opened for name, opened in before.files.items() if _inside(name, closed)}
    return _Merge(root, kinds, before, {**kept, **files}, closed).state()


def _opened(
    root: Path, kinds: Mapping[str, Kind], before: Mapping[str, Opened], closed: dict[str, str]
) -> Iterator[tuple[str, Opened]]:
    for path in _paths(root, closed):
        name = path.relative_to(root).as_posix()
        try:
            stat = path.stat()
            mark = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            known = before.get(name)
            same = known is not None and known.mark == mark
            yield name, known if known is not None and same else Opened(mark, objects.read(path, name, kinds))
        except FileNotFoundError:
            continue  # it went between listing and reading


def _paths(root: Path, closed: dict[str, str]) -> Iterator[Path]:
    """Every manifest file, in order, without hidden folders and the files of Secrets; fills `closed`."""

    def note(error: OSError) -> None:
        folder = Path(error.filename).relative_to(root).as_posix()
        if folder == "." or not isinstance(error, FileNotFoundError):
            closed[folder] = error.strerror or type(error).__name__

    for folder, inner, names in os.walk(root, onerror=note):
        below = Path(folder)
        inner[:] = sorted(name for name in inner if not name.startswith(".") and below != root / keyfiles.FOLDER)
        for name in sorted(names):
            if name.endswith(SUFFIXES) and not name.startswith("."):
                yield below / name


def _shut(closed: Mapping[str, str]) -> dict[str, tuple[Problem, ...]]:
    return {folder: (Problem(folder, "", f"the folder cannot be read: {why}"),) for folder, why in closed.items()}


def _inside(name: str, folders: Mapping[str, str]) -> bool:
    return any(name.startswith(f"{folder}/") for folder in folders)


class _Merge:
    """Puts the files of one look together: who owns which name, and what stays as it was before."""

    def __init__(
        self,
        root: Path,
        kinds: Mapping[str, Kind],
        before: State,
        files: Mapping[str, Opened],
        closed: Mapping[str, str],
    ) -> None:
        self.root, self.kinds, self.before, self.files, self.closed = root, kinds, before, files, closed
        self.problems = {name: list(opened.contents.problems) for name, opened in files.items()}
        self.taken: dict[tuple[str, str, str], Manifest] = {}
        self.held: dict[Key, Held] = {}
        self.secrets: dict[Key, Secret] = {}

    def state(self) -> State:
        for file, manifest in self._owners_first():
            self._declare(file, manifest)
        for key, held in self.before.held.items():
            if key not in self.held and self._broken(held.file) and _claim(key) not in self.taken:
                self.held[key] = replace(held, problems=())
        self._hold_secrets()
        problems = {name: tuple(found) for name, found in self.problems.items() if found} | _shut(self.closed)
        marks = keyfiles.marks(self.root)
        return State(self.files, self.held, self.secrets, marks, problems, frozenset(self.closed))

    def _owners_first(self) -> list[tuple[str, Manifest]]:
        """A file that declared a resource before keeps it when another comes to declare the same."""
        found = [(name, manifest) for name, opened in self.files.items() for manifest in opened.contents.manifests]
        return sorted(found, key=lambda pair: not self._owns(pair[0], pair[1].key))

    def _owns(self, file: str, key: Key) -> bool:
        held = self.before.held.get(key)
        return held is not None and held.file == file

    def _broken(self, file: str) -> bool:
        return file in self.files and not self.files[file].contents.whole

    def _declare(self, file: str, manifest: Manifest) -> None:
        first = self.taken.setdefault(_claim(manifest.key), manifest)
        if first is manifest:
            self.held[manifest.key] = self._unchanged(file, manifest.key) or self._hold(file, manifest)
            problems = self.held[manifest.key].problems
            self.problems[file] += [problem for problem in problems if problem not in manifest.problems]
            return
        kinds = first.key.kind, manifest.key.kind
        why = "" if kinds[0] == kinds[1] else f"; the ledger keeps a {kinds[0]} and a {kinds[1]} under one name"
        said = f"{first.key} is declared at {first.item.place()} already{why}; rename one"
        self.problems[file].append(manifest.item.problem(("metadata", "name"), said))

    def _unchanged(self, file: str, key: Key) -> Held | None:
        """What the last look made of a file that has not been read again."""
        return self.before.held[key] if self._owns(file, key) and self._same(file) else None

    def _same(self, file: str) -> bool:
        return self.files[file] is self.before.files.get(file)

    def _hold(self, file: str, manifest: Manifest) -> Held:
        before = self.before.held.get(manifest.key)
        last_good = before if before is not None and before.good else None
        problems = (*manifest.problems, *self._faults(manifest, last_good))
        now = self._resource(manifest, before)
        if problems and last_good is not None:
            return Held(replace(last_good.resource, place=now.place, folder=now.folder), file, True, problems)
        return Held(now, file, not problems, problems)

    def _faults(self, manifest: Manifest, last_good: Held | None) -> Iterator[Problem]:
        item, key = manifest.item, manifest.key
        if manifest.spec is None:
            yield item.problem(("spec",), "missing; it is required", key)
            return
        old = last_good.resource.spec if last_good is not None else None
        kind = self.kinds[key.kind]
        for fault in spec_faults(kind, manifest.spec, old, lambda path: item.text(("spec", *path))):
            yield item.problem(("spec", *fault.path), fault.message, key)

    def _resource(self, manifest: Manifest, before: Held | None) -> Resource:
        spec = manifest.spec if isinstance(manifest.spec, Mapping) else {}
        generation = before.resource.generation + (before.resource.spec != spec) if before is not None else 1
        return Resource(
            key=manifest.key,
            uid=str(uuid5(NAMESPACE_URL, f"{API_VERSION}/{'/'.join(manifest.key)}")),
            generation=generation,
            spec=spec,
            labels=manifest.labels,
            annotations=manifest.annotations,
            folder=(self.root / manifest.item.file).parent,
            place=manifest.item.place(),
        )

    def _hold_secrets(self) -> None:
        for file, opened in self.files.items():
            for secret in opened.contents.secrets:
                first = self.secrets.setdefault(secret.key, secret)
                if first is not secret:
                    said = f"{secret.key} is declared at {first.item.place()} already; rename one"
                    self.problems[file].append(secret.item.problem(("metadata", "name"), said))
        for key, secret in self.before.secrets.items():
            now = self.secrets.get(key)
            if now.values is None if now is not None else self._broken(secret.item.file):
                self.secrets[key] = secret


def _claim(key: Key) -> tuple[str, str, str]:
    """What only one resource can have: a name among its kind, or among all kinds that feed the ledger."""
    return "feed" if key.kind in FEEDS else key.kind, key.namespace, key.name
