"""Which connectors there are: everything installed packages offer as entry points `costhook.connectors`.

A connector is loaded when it is first asked for. One that cannot be loaded is reported under its type and
takes no other down; nor can a package take over the type of a built-in connector.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from reconciler.connectors.base import Connector, Settings, Traits
from reconciler.errors import NeedsPerson

GROUP: Final = "costhook.connectors"
BUILT_IN: Final = "reconciler.connectors."

AnyConnector = type[Connector[Any]]


class Registry:
    """Connectors by type, from `entries`: the entry points of one or more packages."""

    def __init__(self, entries: Iterable[EntryPoint]) -> None:
        self._entries: dict[str, list[EntryPoint]] = defaultdict(list)
        for entry in entries:
            if entry not in self._entries[entry.name]:
                self._entries[entry.name].append(entry)
        self._loaded: dict[str, AnyConnector] = {}
        self._broken: dict[str, str] = {}

    @property
    def types(self) -> list[str]:
        """Every type that is offered, whether it can be loaded or not, by name."""
        return sorted(self._entries)

    def connector(self, type_: str) -> AnyConnector:
        """The connector of a type. Raises NeedsPerson: UnknownType with the types there are, or BrokenConnector."""
        if type_ not in self._entries:
            raise NeedsPerson(self._unknown(type_), reason="UnknownType")
        self._load(type_)
        if type_ in self._broken:
            raise NeedsPerson(
                f"the connector {type_!r} cannot be loaded: {self._broken[type_]}", reason="BrokenConnector"
            )
        return self._loaded[type_]

    def connectors(self) -> Mapping[str, AnyConnector]:
        """Every connector that can be loaded, by type."""
        for type_ in self.types:
            self._load(type_)
        return dict(sorted(self._loaded.items()))

    def broken(self) -> Mapping[str, str]:
        """The types that cannot be loaded, and why not."""
        self.connectors()
        return dict(sorted(self._broken.items()))

    def _load(self, type_: str) -> None:
        if type_ in self._loaded or type_ in self._broken:
            return
        try:
            self._loaded[type_] = _checked(type_, _only(self._entries[type_]).load())
        except Exception as error:  # noqa: BLE001 - what a third party's module does on import is anything
            self._broken[type_] = f"{type(error).__name__}: {error}"

    def _unknown(self, type_: str) -> str:
        near = get_close_matches(type_.lower(), self.types, n=1)
        meant = f" Did you mean {near[0]!r}?" if near else ""
        return f"there is no connector {type_!r}.{meant} Known types: {', '.join(self.types) or 'none'}"


class BrokenEntry(Exception):
    """What an entry point names is no connector."""


def connector(type_: str) -> AnyConnector:
    """The installed connector of a type; raises as Registry.connector does."""
    return installed().connector(type_)


def connectors() -> Mapping[str, AnyConnector]:
    """Every installed connector that can be loaded, by type."""
    return installed().connectors()


def broken() -> Mapping[str, str]:
    """The installed connectors that cannot be loaded, by type, and why not."""
    return installed().broken()


@cache
def installed() -> Registry:
    """What the packages installed when it was first asked offer."""
    return Registry(entry_points(group=GROUP))


def _only(entries: list[EntryPoint]) -> EntryPoint:
    built_in = [entry for entry in entries if entry.value.startswith(BUILT_IN)]
    chosen = built_in or entries
    if len(chosen) > 1:
        raise BrokenEntry(f"several packages offer it: {', '.join(entry.value for entry in chosen)}")
    return chosen[0]


def _checked(type_: str, found: object) -> AnyConnector:
    if not (isinstance(found, type) and issubclass(found, Connector)):
        raise BrokenEntry(f"{found!r} is no subclass of Connector")
    traits, settings = getattr(found, "traits", None), getattr(found, "Settings", None)
    if not isinstance(traits, Traits) or traits.type != type_:
        raise BrokenEntry(f"its traits must say type {type_!r}, as its entry point does")
    if not (isinstance(settings, type) and issubclass(settings, Settings)):
        raise BrokenEntry("its Settings must be a subclass of reconciler.connectors.base.Settings")
    return found
