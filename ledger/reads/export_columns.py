"""The columns of exported files: FOCUS 1.2 by name, then Costhook's own and the vendors', all behind `x_`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, Literal, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.focus import COLUMNS, OWN, columns
from ledger.reads.filters import ChargeFilter, Parameters, where
from ledger.reads.focus_columns import Term, moment, terms
from ledger.reads.periods import Period
from ledger.window import Span, midnight

Kind = Literal["text", "decimal", "time", "json", "count"]

FOCUS_VERSION: Final = "1.2"
MANDATORY: Final = frozenset(
    (
        *("BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd"),
        *("BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargePeriodEnd"),
        *("ChargePeriodStart", "ContractedCost", "EffectiveCost", "InvoiceIssuerName", "ListCost", "PricingQuantity"),
        *("PricingUnit", "ProviderName", "PublisherName", "ServiceCategory", "ServiceName"),
    )
)
"""Columns that every file of FOCUS 1.2 has."""
REST: Final = "x_extra"
"""Holds, as a JSON object, what has no column of its own."""
SAMPLE: Final = 1_000
"""Charges of each provider that are looked at to find the vendors' own columns."""
MAX_FOREIGN: Final = 300
"""Vendors' columns that become columns; Postgres has an end."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9_ .()/#+-]+")
"""Keys that may stand in a statement as they are. Others, which real files do not have, go to the column REST."""
_FOCUS: Final = frozenset(column.name for column in columns(FOCUS_VERSION))


class ExportColumn(NamedTuple):
    """A column of a file and where its values come from, over rows `c`: the first term that is not null."""

    name: str
    kind: Kind
    terms: tuple[Term, ...]
    document: tuple[Term, ...] = ()
    """The same as JSONB, where it is a JSON document."""

    @property
    def sql(self) -> str:
        """The column's value."""
        return first_of([term.sql for term in self.terms])

    @property
    def tame(self) -> bool:
        """Whether the value is tame text, wherever it comes from."""
        return all(term.tame for term in self.terms)


def first_of(values: Sequence[str]) -> str:
    """SQL of the first value that is not null."""
    return values[0] if len(values) == 1 else f"coalesce({', '.join(values)})"


def cost_columns() -> list[ExportColumn]:
    """Columns of the daily sums, over rows of the rollup."""
    consumed = "case when c.consumed_unit is not null then c.consumed_quantity end"
    return [
        _sum("BilledCost", "c.billed_cost"),
        _text("BillingCurrency", "c.billing_currency"),
        _text("ChargeCategory", "c.charge_category"),
        ExportColumn("ChargePeriodEnd", "time", (Term(moment("cast(c.day + 1 as timestamp)"), tame=True),)),
        ExportColumn("ChargePeriodStart", "time", (Term(moment("cast(c.day as timestamp)"), tame=True),)),
        _sum("ConsumedQuantity", consumed),
        _text("ConsumedUnit", "c.consumed_unit"),
        _sum("ContractedCost", "c.contracted_cost"),
        _sum("EffectiveCost", "c.effective_cost"),
        _sum("ListCost", "c.list_cost"),
        _text("ProviderName", "c.provider"),
        _text("RegionId", "c.region_id"),
        ExportColumn("ServiceCategory", "text", terms(COLUMNS["ServiceCategory"])),
        _text("ServiceName", "c.service_name"),
        _text("SubAccountId", "c.sub_account_id"),
        *_own(),
        *_ACCOUNT,
        ExportColumn("x_charges", "count", (Term("c.charges"),)),
        ExportColumn("x_unpriced", "count", (Term("c.unpriced"),)),
    ]


def charge_columns(foreign: Sequence[str], period: Period) -> list[ExportColumn]:
    """Columns of single charges of the period; `foreign` are the keys of `extra` that become columns."""
    months = list(Span.of_days(period.first, period.after_last).months())
    named = {_foreign_name(key): key for key in foreign}
    vendors = [
        ExportColumn(name, "text", (Term(f"(c.extra ->> '{key}')", stated=True),))
        for name, key in sorted(named.items())
    ]
    return [
        *(
            ExportColumn(column.name, column.kind, terms(column, months), _DOCUMENTS.get(column.name, ()))
            for column in columns(FOCUS_VERSION)
        ),
        *_own(),
        *_ACCOUNT,
        *vendors,
        _rest([*named.values(), *sorted(_FOCUS)]),
    ]


async def foreign_keys(connection: AsyncConnection, period: Period, chosen: ChargeFilter) -> list[str]:
    """Keys of `extra`, beyond FOCUS's columns, among the first charges of each provider in the period.

    Looking at all charges would take longer than writing them begins; what is missed goes to the column REST.
    """
    parameters = Parameters(first=midnight(period.first), after_last=midnight(period.after_last), sample=SAMPLE)
    statement = f"""
        select distinct key from provider p, lateral (
            select c.extra from charge c
            where c.namespace = p.namespace and c.provider = p.name
                and c.charge_period_start >= :first and c.charge_period_start < :after_last
            order by c.charge_period_start limit :sample
        ) held, lateral jsonb_object_keys(held.extra) key
        where {where(chosen, parameters, "p", "accounts")}
    """
    found = await connection.execute(text(statement), parameters.values)
    return _placeable(found.scalars())


def _placeable(keys: Iterable[str]) -> list[str]:
    taken = {name.lower() for name in (*_FOCUS, *OWN, REST, *(column.name for column in _ACCOUNT))}
    chosen: list[str] = []
    for key in sorted(set(keys) - _FOCUS):
        name = _foreign_name(key).lower()
        if _PLAIN.fullmatch(key) and len(name) <= 63 and name not in taken and len(chosen) < MAX_FOREIGN:
            taken.add(name)
            chosen.append(key)
    return chosen


def _own() -> list[ExportColumn]:
    return [_text(name, f"c.{column.field}") for name, column in OWN.items()]


def _rest(placed: Sequence[str]) -> ExportColumn:
    """What of `extra` has none of the columns `placed`."""
    keys = ", ".join(f"'{key}'" for key in placed)
    rest = f"nullif(c.extra - array[{keys}], '{{}}'::jsonb)"
    return ExportColumn(REST, "json", (Term(f"{rest}::text", stated=True, tame=True),), (Term(rest, stated=True),))


def _text(name: str, sql: str) -> ExportColumn:
    return ExportColumn(name, "text", (Term(sql, tame=name in _TAME),))


def _sum(name: str, sql: str) -> ExportColumn:
    return ExportColumn(name, "decimal", (Term(f"trim_scale({sql})"),))


def _foreign_name(key: str) -> str:
    return key if key.startswith("x_") else f"x_{key}"


_TAME: Final = frozenset(("BillingCurrency", "ChargeCategory", "x_origin"))
_ACCOUNT: Final = (_text("x_namespace", "c.namespace"), _text("x_provider", "c.provider"))
_DOCUMENTS: Final = {"Tags": (Term("c.tags"), Term("(c.extra -> 'Tags')", stated=True))}
