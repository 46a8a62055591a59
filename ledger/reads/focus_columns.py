"""FOCUS columns as SQL over charges `c`: the same rules as ledger.focus.getter, run inside Postgres.

A test compares both on random charges. What nobody stated stays null; a figure is never made up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from ledger.focus import SERVICE_CATEGORIES, Column, Kind
from ledger.window import next_month

MONTHS: Final = 60
"""Of periods with more months than this, the billing period is computed from each row."""

_NUMBER: Final = r"^-?[0-9]{1,130}(\.[0-9]{1,130})?$"
_TIME: Final = r"^\d{4}-\d\d-\d\dT\d\d\:\d\d\:\d\d(\.\d{1,6})?Z$"
_CATEGORIES: Final = ", ".join(f"'{name}'" for name in SERVICE_CATEGORIES)
_MONTH: Final = "date_trunc('month', c.charge_period_start at time zone 'UTC')"
_CATEGORY: Final = f"(case when c.service_category in ({_CATEGORIES}) then c.service_category else 'Other' end)"


class Term(NamedTuple):
    """SQL of a value: text, except that amounts are numeric without trailing zeros. JSON is JSON as text."""

    sql: str
    stated: bool = False
    """Comes out of `extra`, and is null where that is."""
    tame: bool = False
    """Text of a form that no formula has, and that JSON has nothing to escape in, unless it is JSON itself."""


def terms(column: Column, months: Sequence[datetime] = ()) -> tuple[Term, ...]:
    """Where the column's value comes from: the first that is not null counts.

    `months`: the beginnings of all months that charges may start in, in order.
    """
    if column.name in ("BillingPeriodStart", "BillingPeriodEnd"):
        named = 0 < len(months) <= MONTHS
        return _stated(column.name, "time"), _chosen(column, months) if named else _COMPUTED[column.name]
    special = _SPECIAL.get(column.name)
    if special is not None:
        return special
    if column.field is None:
        return (stated(column),)
    held = f"c.{column.field}"
    if column.kind == "time":
        return (Term(moment(f"{held} at time zone 'UTC'"), tame=True),)
    return (Term(held, tame=column.name in _TAME),)


def stated(column: Column) -> Term:
    """The column as it stands in `extra`; what is not of its kind is left out, as nothing could be read from it."""
    held = f"(c.extra ->> '{column.name}')"
    match column.kind:
        case "decimal":
            return Term(f"(case when {held} ~ '{_NUMBER}' then trim_scale({held}::numeric) end)", stated=True)
        case "time":
            return Term(f"(case when {held} ~ '{_TIME}' then {held} end)", stated=True, tame=True)
        case _:
            return Term(held, stated=True)


def moment(utc: str) -> str:
    """A timestamp without zone, in UTC, as FOCUS writes it; fractions of a second only where there are any.

    Relies on the date style ISO, which `ledger.reads.export` sets: `to_char` takes four times as long.
    """
    return f"(replace(cast({utc} as text), ' ', 'T') || 'Z')"


def _chosen(column: Column, months: Sequence[datetime]) -> Term:
    """The bound of a charge's billing period, chosen among those of the months: to compute it takes far longer."""
    values = [f"'{(next_month(m) if column.name.endswith('End') else m):%Y-%m-%dT%H:%M:%SZ}'" for m in months]
    earlier = zip(months[1:], values, strict=False)
    cases = "".join(f"when c.charge_period_start < '{after.isoformat()}' then {value} " for after, value in earlier)
    return Term(f"(case {cases}else {values[-1]} end)" if cases else values[-1], tame=True)


def _stated(name: str, kind: Kind = "text") -> Term:
    return stated(Column(name, kind))


_TAME: Final = frozenset(("BillingCurrency", "ChargeCategory"))
_PROVIDER: Final = Term("c.service_provider_name")
_COMPUTED: Final[Mapping[str, Term]] = {
    "BillingPeriodEnd": Term(moment(f"cast({_MONTH} + interval '1 month' as timestamp)"), tame=True),
    "BillingPeriodStart": Term(moment(f"cast({_MONTH} as timestamp)"), tame=True),
}
_SPECIAL: Final[Mapping[str, tuple[Term, ...]]] = {
    "EffectiveCost": (Term("c.effective_cost"), Term("c.billed_cost")),
    "InvoiceIssuerName": (_stated("InvoiceIssuerName"), _PROVIDER),
    "ProviderName": (_stated("ProviderName"), _PROVIDER),
    "PublisherName": (_stated("PublisherName"), _PROVIDER),
    "ServiceCategory": (Term(_CATEGORY, tame=True),),
    "ServiceSubcategory": (_stated("ServiceSubcategory"), Term(f"('Other (' || {_CATEGORY} || ')')", tame=True)),
    "Tags": (Term("c.tags::text", tame=True), _stated("Tags")),
}
