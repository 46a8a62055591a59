"""What one look at a folder of manifests found. States never change, so that readers need no lock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from reconciler.objects import Contents, Secret
from reconciler.problems import Problem
from reconciler.sources.base import Key, Resource
from reconciler.sources.keyfiles import Marks

Mark = tuple[int, int, int]
"""Time of change, size and inode of a file, from which an edit shows."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A file as it was last read."""

    mark: Mark
    contents: Contents


@dataclass(frozen=True, slots=True)
class Held:
    """A resource as it was last good, or as it is written where it never was good.

    `problems` are what is wrong with its manifest now.
    """

    resource: Resource
    file: str
    good: bool
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class State:
    """Files and folders are named by their paths within the folder that was looked at."""

    files: Mapping[str, Opened] = field(default_factory=dict)
    held: Mapping[Key, Held] = field(default_factory=dict)
    secrets: Mapping[Key, Secret] = field(default_factory=dict)
    key_files: Marks = field(default_factory=dict)
    problems: Mapping[str, Sequence[Problem]] = field(default_factory=dict)
    """What is wrong, by file or folder."""
    closed: frozenset[str] = frozenset()
    """Folders that cannot be listed, `.` among them if it is the one that was looked at."""

    @property
    def unreadable(self) -> frozenset[str]:
        """Files that are there but cannot be read, or in which a resource cannot even be told by its name."""
        return frozenset(name for name, opened in self.files.items() if not opened.contents.whole)

    def hides(self, file: str) -> bool:
        """Whether what `file` declares cannot be known now."""
        opened = self.files.get(file)
        broken = opened is not None and not opened.contents.whole
        return broken or any(folder == "." or file.startswith(f"{folder}/") for folder in self.closed)

    def problems_of(self, key: Key) -> Sequence[Problem]:
        """What keeps the resource from being as its file now says."""
        held = self.held.get(key)
        if held is None:
            return ()
        around = [problem for problem in self.problems.get(held.file, ()) if problem.key is None]
        return (*held.problems, *(around if held.file in self.unreadable else ()))

    def secret_of(self, resource: Resource) -> object:
        """What the Secret that a resource names holds, as far as an edit of it shows; None where it names none."""
        name = secret_name(resource.spec)
        if name is None:
            return None
        secret = self.secrets.get(Key("Secret", resource.key.namespace, name))
        return secret.values if secret is not None else None, self.key_files.get(name)


def secret_name(spec: Mapping[str, Any]) -> str | None:
    """The name of the Secret that a spec refers to, where it refers to one."""
    reference = spec.get("secretRef")
    name = reference.get("name") if isinstance(reference, Mapping) else None
    return name if isinstance(name, str) else None


def changed(before: State, after: State) -> set[Key]:
    """The resources that came, went, changed or broke, and those whose Secret changed."""
    return {key for key in before.held.keys() | after.held.keys() if _shown(before, key) != _shown(after, key)}


def gone(before: State, after: State) -> set[Key]:
    """The resources that went."""
    return set(before.held.keys() - after.held.keys())


def _shown(state: State, key: Key) -> object:
    held = state.held.get(key)
    if held is None:
        return None
    wrong = [(problem.path, problem.message) for problem in state.problems_of(key)]
    return replace(held.resource, place=None, generation=0), wrong, state.secret_of(held.resource)
