"""How an allocation maps charges to the values of a dimension of its own, such as teams.

Rules are tried in order and the first that matches a charge decides: it names the value, takes it from the charge or
its provider, or shares the charge out among values. A charge that no rule matches stays unallocated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Self

Split = Literal["Fixed", "Proportional"]
Words = tuple[str, ...] | None
"""Any of these; None: not asked."""

LISTS: Final[Mapping[str, str]] = {
    "providers": "provider",
    "services": "service_name",
    "subAccounts": "sub_account_id",
    "regions": "region_id",
    "resources": "resource_id",
}
"""Fields of a match that list values, and the column of a charge that each is about."""
DIMENSIONS: Final[Mapping[str, str]] = {
    "Provider": "provider",
    "ServiceName": "service_name",
    "SubAccountId": "sub_account_id",
    "RegionId": "region_id",
    "ResourceId": "resource_id",
}
"""What a value may be taken from besides labels and tags, and the column of each."""


@dataclass(frozen=True, slots=True)
class KeyMatch:
    """A key of labels or tags, and what its value is: any of `values`, or what begins with `prefix`; else anything."""

    key: str
    values: Words = None
    prefix: str | None = None

    @classmethod
    def of(cls, stated: Mapping[str, Any]) -> Self:
        return cls(stated["key"], tuple(stated.get("values") or ()) or None, stated.get("prefix"))


@dataclass(frozen=True, slots=True)
class ChargeMatch:
    """Which charges are meant: any of each list, by column, and all of the labels and tags; all if nothing is said."""

    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    labels: tuple[KeyMatch, ...] = ()
    """Those of the provider."""
    tags: tuple[KeyMatch, ...] = ()

    @classmethod
    def of(cls, stated: Mapping[str, Any]) -> Self:
        return cls(
            {column: tuple(stated[name]) for name, column in LISTS.items() if stated.get(name)},
            tuple(KeyMatch.of(match) for match in stated.get("labels") or ()),
            tuple(KeyMatch.of(match) for match in stated.get("tags") or ()),
        )


@dataclass(frozen=True, slots=True)
class Taken:
    """Where a value is taken from: a tag or a label by key, or a column of the charge. One of them is set."""

    tag: str | None = None
    label: str | None = None
    column: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One of `value`, `taken` and `split` is set. `shares` are those of a fixed split: values and their weights."""

    match: ChargeMatch
    value: str | None = None
    taken: Taken | None = None
    split: Split | None = None
    shares: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of(cls, stated: Mapping[str, Any]) -> Self:
        taken = stated.get("valueFrom")
        return cls(
            ChargeMatch.of(stated.get("match") or {}),
            stated.get("value"),
            None if taken is None else _taken(taken),
            stated.get("split"),
            tuple((share["value"], share["weight"]) for share in stated.get("shares") or ()),
        )

    @property
    def of_charges(self) -> bool:
        """Whether it asks for what only single charges tell: tags and resources."""
        taken = self.taken is not None and (self.taken.tag is not None or self.taken.column == "resource_id")
        return bool(self.match.tags) or "resource_id" in self.match.lists or taken

    @property
    def of_labels(self) -> bool:
        """Whether it asks for labels of the provider."""
        return bool(self.match.labels) or (self.taken is not None and self.taken.label is not None)


def rules_of(spec: Mapping[str, Any]) -> Sequence[Rule]:
    """The rules of an Allocation's spec that was found good, as manifests write it."""
    return [Rule.of(stated) for stated in spec["rules"]]


def _taken(stated: Mapping[str, Any]) -> Taken:
    dimension = stated.get("dimension")
    return Taken(stated.get("tag"), stated.get("label"), None if dimension is None else DIMENSIONS[dimension])
