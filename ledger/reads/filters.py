"""Which charges are meant: filters as people state them, and the SQL they become.

Every list means any of, several fields mean all of. An empty list matches nothing. None inside a list stands for
"without a value". Values travel as parameters and never become part of a statement.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Literal

from ledger.errors import InvalidQuestion
from ledger.schema import SERVICE_DIMENSIONS

Values = tuple[str | None, ...] | None
"""Any of these; None: not asked."""


@dataclass(frozen=True, slots=True)
class Match:
    """A key and the values it may have; `values` of None asks only that the key is there."""

    key: str
    values: tuple[str, ...] | None = None

    def condition(self, document: str, parameters: Parameters) -> str:
        """As a condition on a JSONB column."""
        key = f"cast({parameters.add(self.key)} as text)"
        if self.values is None:
            return f"jsonb_exists({document}, {key})"
        return f"{document} ->> {key} = any(cast({parameters.add(list(self.values))} as text[]))"


Attribution = Literal["excluded", "included", "only"]
"""What becomes of providers whose charges are parts of what other providers bill."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeFilter:
    """Which charges are meant. `labels` are those of the provider, `tags` those of the charge.

    `attribution` of None leaves out providers that only attribute what others bill, so that nothing is counted
    twice, unless `providers` names whom to count. It says nothing inside `none_of`.
    """

    namespaces: Values = None
    providers: Values = None
    labels: tuple[Match, ...] = ()
    services: Values = None
    service_categories: Values = None
    sub_accounts: Values = None
    models: Values = None
    token_types: Values = None
    regions: Values = None
    resources: Values = None
    skus: Values = None
    currencies: Values = None
    origins: Values = None
    charge_categories: Values = None
    tags: tuple[Match, ...] = ()
    attribution: Attribution | None = None
    none_of: ChargeFilter | None = None
    """Charges that match this filter are left out."""

    def document(self) -> dict[str, Any]:
        """What is asked, as JSON values under the names of the fields."""
        stated: dict[str, Any] = {}
        for name, value in self._stated():
            if isinstance(value, ChargeFilter):
                stated["not"] = value.document()
            elif isinstance(value, str):
                stated[camel(name)] = value
            else:
                stated[camel(name)] = [
                    {"key": held.key, "values": held.values} if isinstance(held, Match) else held for held in value
                ]
        return stated

    def asked(self) -> set[str]:
        """Names of the fields that restrict anything, those of `none_of` included."""
        names = {name for name, _ in self._stated()}
        return names | (self.none_of.asked() if self.none_of else set())

    def _stated(self) -> Iterator[tuple[str, Any]]:
        """Fields that restrict anything. An empty list of values does: it matches nothing."""
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and (value or field.name not in ("labels", "tags")):
                yield field.name, value


EVERYTHING: Final = ChargeFilter()

COLUMNS: Final[Mapping[str, str]] = {
    "namespaces": "namespace",
    "providers": "provider",
    "services": "service_name",
    "service_categories": "service_category",
    "sub_accounts": "sub_account_id",
    "models": "x_model",
    "token_types": "x_token_type",
    "regions": "region_id",
    "resources": "resource_id",
    "skus": "sku_id",
    "currencies": "billing_currency",
    "origins": "x_origin",
    "charge_categories": "charge_category",
}
"""The column that each list restricts."""

OF_ACCOUNTS: Final = frozenset({"namespaces", "providers", "labels", "attribution"})
"""Fields that say something about providers rather than about single charges."""

BEYOND_ROLLUP: Final = frozenset({"resources", "skus", "tags"})
"""Fields that the daily rollup knows nothing of."""

BEYOND_SERVICES: Final = BEYOND_ROLLUP | {
    field for field, column in COLUMNS.items() if column not in ("namespace", "provider", *SERVICE_DIMENSIONS)
}
"""Fields that the rollup by service knows nothing of."""

Level = Literal["charges", "accounts"]


NO_TEXT: Final = re.compile("[\0\ud800-\udfff]")
"""What Postgres cannot hold in a text: the zero character, and halves of characters."""


class Parameters:
    """Values of a statement under names made as they come."""

    def __init__(self, **values: Any) -> None:
        self.values: dict[str, Any] = values

    def add(self, value: Any) -> str:
        """Keep the value; returns how the statement names it. Raises InvalidQuestion for what is no text."""
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, str) and NO_TEXT.search(part):
                raise InvalidQuestion("a text holds a character that no text of the ledger can hold", "filter")
        name = f"p{len(self.values)}"
        self.values[name] = value
        return f":{name}"


def where(chosen: ChargeFilter, parameters: Parameters, row: str, level: Level = "charges") -> str:
    """The filter as a condition on rows of alias `row`, which has the columns of charges or of providers.

    At the level of accounts, what is said of single charges is left out, so more accounts may match, never fewer.
    """
    counted = _counted(chosen, row, level)
    return " and ".join([*_conditions(chosen, parameters, row, level), *counted]) or "true"


def among(columns: Mapping[str, tuple[str, ...] | None], parameters: Parameters) -> list[str]:
    """A condition for each column whose values are asked for, after one that always holds."""
    return ["true"] + [
        f"{column} = any(cast({parameters.add(list(values))} as text[]))"
        for column, values in columns.items()
        if values is not None
    ]


def camel(name: str) -> str:
    """A field's name as GraphQL has it."""
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def _conditions(chosen: ChargeFilter, parameters: Parameters, row: str, level: Level) -> Iterator[str]:
    for field, column in COLUMNS.items():
        values = getattr(chosen, field)
        if values is not None and (level == "charges" or field in OF_ACCOUNTS):
            yield _any_of(f"{row}.{_column(column, level)}", values, parameters)
    for match in chosen.labels:
        yield _label(match, parameters, row, level)
    if level == "charges":
        for match in chosen.tags:
            yield match.condition(f"{row}.tags", parameters)
    inner = chosen.none_of
    if inner is not None and (level == "charges" or inner.asked() <= OF_ACCOUNTS):
        # A comparison with null is neither true nor false; a row that cannot match is not left out.
        yield f"not coalesce(({' and '.join(_conditions(inner, parameters, row, level)) or 'true'}), false)"


def _counted(chosen: ChargeFilter, row: str, level: Level) -> Iterator[str]:
    """The condition that keeps what is not to be counted out."""
    wanted = chosen.attribution or ("excluded" if chosen.providers is None else "included")
    if wanted == "included":
        return
    if level == "accounts":
        part = f"{row}.attribution_only"
    else:
        # Not by `exists`, which the planner takes to leave a single row, whatever it then does to all of them.
        part = f"({row}.namespace, {row}.provider) in (select namespace, name from provider where attribution_only)"
    yield part if wanted == "only" else f"not {part}"


def _column(column: str, level: Level) -> str:
    return "name" if level == "accounts" and column == "provider" else column


def _any_of(column: str, values: tuple[str | None, ...], parameters: Parameters) -> str:
    stated = [value for value in values if value is not None]
    condition = f"{column} = any(cast({parameters.add(stated)} as text[]))"
    return condition if None not in values else f"({condition} or {column} is null)"


def _label(match: Match, parameters: Parameters, row: str, level: Level) -> str:
    if level == "accounts":
        return match.condition(f"{row}.labels", parameters)
    return (
        f"exists (select from provider l where l.namespace = {row}.namespace and l.name = {row}.provider "
        f"and {match.condition('l.labels', parameters)})"
    )
