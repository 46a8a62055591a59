"""FOCUS columns and their place in a Charge: which column of a file feeds which field, and how its cells are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from functools import partial
from typing import Final, NamedTuple

from ledger.charge import MAX_TEXT
from ledger.focus import COLUMNS, ENUMS, Column
from ledger.money import currency
from reconciler.connectors.focus import cells
from reconciler.connectors.focus.cells import Parse

NEEDED: Final = ("BilledCost", "BillingCurrency", "ChargePeriodEnd", "ChargePeriodStart")
"""Columns without which a file is no FOCUS file."""
PROVIDERS: Final = ("ServiceProviderName", "ProviderName", "PublisherName", "InvoiceIssuerName")
"""Who provides the service, by the first that says: 1.3 renamed ProviderName, and AWS leaves some of them empty."""
APART: Final = frozenset(
    ("BillingCurrency", "ChargeCategory", "ChargePeriodEnd", "ChargePeriodStart", "ServiceName", "Tags", *PROVIDERS)
)
"""Columns whose field follows a rule of its own."""
OWN: Final = ("x_model", "x_token_type")
"""Costhook's own columns that have a field. `x_origin` has one, too, but what is read here comes from a file."""

_BY_NAME: Final = {name.lower(): name for name in COLUMNS}
TEXT: Final = f"a text of at most {MAX_TEXT} characters"
TIME: Final = "a time such as 2024-09-01T00:00:00Z"
_READINGS: Final[Mapping[str, tuple[Parse, str]]] = {
    "BillingCurrency": (currency, "a currency code such as USD"),
    "ChargeCategory": (cells.category, "one of " + ", ".join(ENUMS["ChargeCategory"])),
    "Tags": (cells.tags_or_text, "a JSON object"),
}


class NotFocus(ValueError):
    """The columns are not those of a FOCUS file; the text, which begins with a verb, says why."""


class Feed(NamedTuple):
    """One column of a file: its name and place there, how a cell is read, and what to expect of one."""

    name: str
    place: int
    parse: Parse
    expected: str


@dataclass(frozen=True)
class Layout:
    """Where the columns of a file go."""

    start: Feed
    end: Feed
    currency: Feed
    category: Feed | None
    providers: tuple[Feed, ...]
    """The columns that name the provider; the first that is filled counts."""
    service: Feed | None
    tags: Feed | None
    fields: Mapping[str, Feed]
    """The other fields of a charge, by name."""
    extra: Mapping[str, Feed]
    """What has no field, by its key in `Charge.extra`: a FOCUS name, or a name that begins with `x_`."""


def layout(names: Sequence[str], zone: tzinfo) -> Layout:
    """Where the columns `names` go; times that name no zone are in `zone`.

    A FOCUS column is known by its name, whatever its case and the file's version. Columns that are none keep
    their names behind `x_`. Raises NotFocus.
    """
    known = _known(names)
    feeds = {name: _feed(COLUMNS[name], index, zone) for name, index in known.items()}
    if missing := [name for name in NEEDED if name not in feeds]:
        raise NotFocus(f"has no column {', '.join(missing)}: is it FOCUS data?")
    own = {name: Feed(name, names.index(name), cells.label, TEXT) for name in OWN if name in names}
    taken = {*known.values(), *(feed.place for feed in own.values())}
    return Layout(
        start=feeds["ChargePeriodStart"],
        end=feeds["ChargePeriodEnd"],
        currency=feeds["BillingCurrency"],
        category=feeds.get("ChargeCategory"),
        providers=tuple(feeds[name] for name in PROVIDERS if name in feeds),
        service=feeds.get("ServiceName"),
        tags=feeds.get("Tags"),
        fields={COLUMNS[name].field or "": feed for name, feed in feeds.items() if _is_field(name)} | own,
        extra={name: feed for name, feed in feeds.items() if _is_extra(name, known)} | dict(_foreign(names, taken)),
    )


def period(names: Sequence[str], zone: tzinfo) -> tuple[Feed, Feed]:
    """The columns of a charge's period among `names`. Raises NotFocus."""
    known = _known(names)
    if missing := [name for name in ("ChargePeriodStart", "ChargePeriodEnd") if name not in known]:
        raise NotFocus(f"has no column {', '.join(missing)}: is it FOCUS data?")
    start, end = (_feed(COLUMNS[name], known[name], zone) for name in ("ChargePeriodStart", "ChargePeriodEnd"))
    return start, end


def _known(names: Sequence[str]) -> dict[str, int]:
    """FOCUS's name of every column that is FOCUS's, and its place."""
    known: dict[str, int] = {}
    for index, name in enumerate(names):
        focus = _BY_NAME.get(name.strip().lower())
        if focus is not None and known.setdefault(focus, index) != index:
            raise NotFocus(f"has the column {focus} twice")
    return known


def _is_field(name: str) -> bool:
    return COLUMNS[name].field is not None and name not in APART


def _is_extra(name: str, known: Mapping[str, int]) -> bool:
    """Whether a FOCUS column is kept beside the fields: ProviderName only where a newer name fills the field."""
    if name == "ProviderName":
        return "ServiceProviderName" in known
    return COLUMNS[name].field is None


def _feed(column: Column, place: int, zone: tzinfo) -> Feed:
    return Feed(column.name, place, *_reading(column, zone))


def _reading(column: Column, zone: tzinfo) -> tuple[Parse, str]:
    """How a cell of the column is read, and what to expect of one."""
    if column.name in _READINGS:
        return _READINGS[column.name]
    if column.kind == "decimal":
        return (cells.number if column.field else cells.plain_number), "a decimal number such as 12.34"
    if column.kind == "time":
        return partial(cells.moment if column.field else cells.plain_moment, zone=zone), TIME
    if column.name in ENUMS:
        return cells.word(column.name), TEXT
    return (cells.label if column.field else cells.cell_text), TEXT


def _foreign(names: Sequence[str], taken: set[int]) -> Iterator[tuple[str, Feed]]:
    """Columns that are not FOCUS's, each under a key of its own."""
    keys = {names[index] for index in taken}
    for index, name in enumerate(names):
        if index not in taken:
            key = name if name.startswith("x_") else f"x_{name.strip() or f'column{index + 1}'}"
            while key in keys or key in names[index + 1 :]:
                key = f"x_{key}"
            keys.add(key)
            yield key, Feed(name, index, cells.cell_text, TEXT)
