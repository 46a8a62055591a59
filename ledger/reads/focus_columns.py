"""FOCUS columns as SQL over charges `c`: the same rules as ledger.focus.getter, run inside Postgres.

A test compares both on random charges. What nobody stated stays null; a figure is never made up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ledger.focus import SERVICE_CATEGORIES, Column

_NUMBER: Final = r"^-?[0-9]{1,130}(\.[0-9]{1,130})?$"
_TIME: Final = r"^\d{4}-\d\d-\d\dT\d\d\:\d\d\:\d\d(\.\d{1,6})?Z$"
_CATEGORIES: Final = ", ".join(f"'{name}'" for name in SERVICE_CATEGORIES)
_MONTH: Final = "date_trunc('month', c.charge_period_start at time zone 'UTC')"
_CATEGORY: Final = f"(case when c.service_category in ({_CATEGORIES}) then c.service_category else 'Other' end)"


def expression(column: Column) -> str:
    """The column's value: text, except that decimal columns are numeric. JSON columns are JSON as text."""
    special = _SPECIAL.get(column.name)
    if special is not None:
        return special
    if column.field is None:
        return stated(column)
    held = f"c.{column.field}"
    return {"time": moment(f"{held} at time zone 'UTC'"), "json": f"{held}::text"}.get(column.kind, held)


def stated(column: Column) -> str:
    """The column as it stands in `extra`; what is not of its kind is left out, as nothing could be read from it."""
    held = f"(c.extra ->> '{column.name}')"
    match column.kind:
        case "decimal":
            return f"(case when {held} ~ '{_NUMBER}' then {held}::numeric end)"
        case "time":
            return f"(case when {held} ~ '{_TIME}' then {held} end)"
        case _:
            return held


def moment(utc: str) -> str:
    """A timestamp without zone, in UTC, as FOCUS writes it; fractions of a second only where there are any.

    Relies on the date style ISO, which `ledger.reads.export` sets: `to_char` takes four times as long.
    """
    return f"(replace(cast({utc} as text), ' ', 'T') || 'Z')"


def _or(name: str, otherwise: str, kind: str = "text") -> str:
    column = Column(name, "time") if kind == "time" else Column(name)
    return f"coalesce({stated(column)}, {otherwise})"


_SPECIAL: Final[Mapping[str, str]] = {
    "BillingPeriodEnd": _or("BillingPeriodEnd", moment(f"cast({_MONTH} + interval '1 month' as timestamp)"), "time"),
    "BillingPeriodStart": _or("BillingPeriodStart", moment(f"cast({_MONTH} as timestamp)"), "time"),
    "EffectiveCost": "coalesce(c.effective_cost, c.billed_cost)",
    "InvoiceIssuerName": _or("InvoiceIssuerName", "c.service_provider_name"),
    "ProviderName": _or("ProviderName", "c.service_provider_name"),
    "PublisherName": _or("PublisherName", "c.service_provider_name"),
    "ServiceCategory": _CATEGORY,
    "ServiceSubcategory": _or("ServiceSubcategory", f"'Other (' || {_CATEGORY} || ')'"),
    "Tags": "coalesce(c.tags::text, c.extra ->> 'Tags')",
}
