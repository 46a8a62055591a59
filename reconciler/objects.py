"""Kubernetes objects out of manifest files: resources of Costhook's kinds and v1 Secrets, and what is wrong with them.

Here the envelope is checked (apiVersion, kind, metadata); specs are checked by reconciler.kinds.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from reconciler import manifests, metadata
from reconciler.kinds.catalogue import LATER, Kind
from reconciler.kinds.shape import meant
from reconciler.manifests import Document, ManifestError
from reconciler.problems import Item, Problem
from reconciler.sources.base import API_VERSION, Key

_FIELDS: Final = ("apiVersion", "kind", "metadata", "spec", "status")
_SECRET_FIELDS: Final = ("apiVersion", "kind", "metadata", "type", "immutable", "data", "stringData")


@dataclass(frozen=True, slots=True)
class Manifest:
    """A resource as a file declares it. `problems` are of its envelope; its spec is not checked yet."""

    key: Key
    item: Item
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    problems: tuple[Problem, ...]

    @property
    def spec(self) -> Any:
        return self.item.value.get("spec")


@dataclass(frozen=True, slots=True)
class Secret:
    """A v1 Secret with its decoded values; None where the file is wrong."""

    key: Key
    item: Item
    values: Mapping[str, str] | None = field(repr=False)


@dataclass
class Contents:
    """What a file holds. It is not `whole` when something in it could not even be told by its name."""

    manifests: list[Manifest] = field(default_factory=list)
    secrets: list[Secret] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    whole: bool = True


def read(path: Path, name: str, kinds: Mapping[str, Kind]) -> Contents:
    """The objects in the file at `path`, which people know as `name`. Raises FileNotFoundError."""
    contents = Contents()
    try:
        for document in manifests.read(path):
            for item in _items(name, document):
                _add(contents, item, kinds)
    except FileNotFoundError:
        raise
    except OSError as error:
        return Contents(problems=[Problem(f"{name}:1", "", f"cannot be read: {error.strerror}")], whole=False)
    except ManifestError as error:
        return Contents(problems=[Problem(f"{name}:{error.line}", "", str(error))], whole=False)
    return contents


def _items(file: str, document: Document) -> Iterator[Item]:
    """The document's object, or each of those in a v1 List."""
    value = document.value
    if isinstance(value, Mapping) and value.get("kind") == "List" and isinstance(value.get("items"), list):
        for index, item in enumerate(value["items"]):
            yield Item(file, document, ("items", index), item)
    else:
        yield Item(file, document, (), value)


def _add(contents: Contents, item: Item, kinds: Mapping[str, Kind]) -> None:
    problems = list(_unknown_kind(item, kinds)) or list(metadata.unnamed(item))
    if problems:
        contents.problems += problems
        contents.whole = False
    elif item.value["kind"] in LATER:
        contents.problems.append(item.problem(("kind",), f"{item.value['kind']} is not supported yet; take it out"))
    elif item.value["kind"] == "Secret":
        _add_secret(contents, item)
    else:
        _add_manifest(contents, item)


def _unknown_kind(item: Item, kinds: Mapping[str, Kind]) -> Iterator[Problem]:
    if not isinstance(item.value, Mapping):
        yield item.problem((), "not a manifest; it has apiVersion, kind, metadata and spec")
        return
    kind, version = item.value.get("kind"), item.value.get("apiVersion")
    versions = {**dict.fromkeys([*kinds, *LATER], API_VERSION), "Secret": "v1"}
    if not isinstance(kind, str) or kind not in versions:
        known = [*kinds, "Secret"]
        said = "missing; there are" if kind is None else "no kind of Costhook's; there are"
        yield item.problem(("kind",), f"{said} {', '.join(known)}{meant(str(kind), known)}")
    elif version != versions[kind]:
        yield item.problem(("apiVersion",), f"write apiVersion: {versions[kind]}")


def _add_manifest(contents: Contents, item: Item) -> None:
    problems = (*metadata.unknown_fields(item, _FIELDS), *metadata.mislabelled(item))
    labels = {} if problems else metadata.labels(item, "labels")
    annotations = {} if problems else metadata.labels(item, "annotations")
    contents.problems += problems
    contents.manifests.append(Manifest(metadata.key(item), item, labels, annotations, problems))


def _add_secret(contents: Contents, item: Item) -> None:
    values: dict[str, str] = {}
    problems = [*metadata.unknown_fields(item, _SECRET_FIELDS), *_secret_values(item, values)]
    contents.problems += problems
    contents.secrets.append(Secret(metadata.key(item), item, None if problems else values))


def _secret_values(item: Item, values: dict[str, str]) -> Iterator[Problem]:
    """Fills `values` and tells what is wrong, never repeating a value. As in a cluster, stringData wins over data."""
    for group in ("data", "stringData"):
        texts = item.value.get(group)
        if texts is None:
            continue
        if not isinstance(texts, Mapping):
            yield item.problem((group,), "write fields here: name: value")
            continue
        for name, text in texts.items():
            try:
                values[name] = _decoded(text) if group == "data" else _text(text)
            except ValueError as error:
                yield item.problem((group, name), str(error))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("not a text; write it in quotes")
    return value


def _decoded(value: Any) -> str:
    try:
        return base64.b64decode("".join(_text(value).split()).encode(), validate=True).decode()
    except binascii.Error:
        raise ValueError("not base64; write the plain value under stringData instead") from None
    except UnicodeDecodeError:
        raise ValueError("not UTF-8 text once decoded; credentials are text") from None
