"""The metadata of an object in a manifest: its name, namespace, labels and annotations, by Kubernetes' rules."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from reconciler.kinds.forms import SUBDOMAIN
from reconciler.kinds.shape import meant
from reconciler.problems import Item, Problem
from reconciler.sources.base import Key

DEFAULT_NAMESPACE: Final = "default"

_FIELDS: Final = ("name", "namespace", "labels", "annotations")
_SERVERS_OWN: Final = frozenset(
    "creationTimestamp deletionGracePeriodSeconds deletionTimestamp finalizers generateName generation managedFields "
    "ownerReferences resourceVersion selfLink uid".split()
)
"""Metadata that `kubectl get -o yaml` shows and that means nothing in a file."""

_LABEL: Final = r"[a-zA-Z0-9]([-_.a-zA-Z0-9]{0,61}[a-zA-Z0-9])?"
_NAMESPACE: Final = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"


def of(item: Item) -> Mapping[str, Any]:
    """The metadata, empty where there is none."""
    metadata = item.value.get("metadata")
    return metadata if isinstance(metadata, Mapping) else {}


def key(item: Item) -> Key:
    """What names the object; only for one that `unnamed` finds nothing wrong with."""
    metadata = of(item)
    return Key(item.value["kind"], metadata.get("namespace", DEFAULT_NAMESPACE), metadata["name"])


def unnamed(item: Item) -> Iterator[Problem]:
    """What keeps the object from being told by its name."""
    metadata = of(item)
    name, namespace = metadata.get("name"), metadata.get("namespace", DEFAULT_NAMESPACE)
    if not _matches(SUBDOMAIN, name, 253):
        yield item.problem(("metadata", "name"), _no_name(item, "name", name, "digits, - and .", 253))
    if not _matches(_NAMESPACE, namespace):
        yield item.problem(("metadata", "namespace"), _no_name(item, "namespace", namespace, "digits and -", 63))


def unknown_fields(item: Item, known: Sequence[str]) -> Iterator[Problem]:
    """Fields of the object and of its metadata that Kubernetes does not know."""
    owner = key(item)
    for name in item.value:
        if name not in known:
            yield item.problem((name,), f"unknown field{meant(name, list(known))}", owner)
    for name in of(item):
        if name not in _FIELDS and name not in _SERVERS_OWN:
            yield item.problem(("metadata", name), f"unknown field{meant(name, list(_FIELDS))}", owner)


def labels(item: Item, group: str) -> dict[str, str]:
    """The `labels` or `annotations`; only where `mislabelled` finds nothing wrong."""
    return dict(of(item).get(group) or {})


def mislabelled(item: Item) -> Iterator[Problem]:
    """Labels and annotations that Kubernetes would refuse."""
    for group in ("labels", "annotations"):
        texts = of(item).get(group)
        if texts is None:
            continue
        if not isinstance(texts, Mapping):
            yield item.problem(("metadata", group), "write fields here: name: value", key(item))
            continue
        for name, value in texts.items():
            wrong = _mislabelled(item, group, name, value)
            if wrong:
                yield item.problem(("metadata", group, name), wrong, key(item))


def _mislabelled(item: Item, group: str, name: str, value: Any) -> str | None:
    if not _matches(f"({SUBDOMAIN}/)?{_LABEL}", name):
        return "not a name of a label; use letters, digits, -, _ and ., at most 63"
    if not isinstance(value, str):
        return _unquoted(item.text(("metadata", group, name)))
    if group == "labels" and value and not _matches(_LABEL, value):
        return "a label's value has letters, digits, -, _ and ., at most 63"
    return None


def _no_name(item: Item, field: str, value: Any, characters: str, longest: int) -> str:
    if value is None:
        return "missing; it is required"
    if not isinstance(value, str):
        return _unquoted(item.text(("metadata", field)))
    return f"not a name; use lower-case letters, {characters}, at most {longest} characters"


def _unquoted(text: str | None) -> str:
    return f"not a text; write it in quotes: {json.dumps(text)}" if text else "write a single text here"


def _matches(pattern: str, value: Any, longest: int | None = None) -> bool:
    return isinstance(value, str) and len(value) <= (longest or len(value)) and bool(re.fullmatch(pattern, value))
