"""The columns of exported files: FOCUS 1.2 by name, then Costhook's own and the vendors', all behind `x_`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, Literal, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.focus import COLUMNS, OWN, columns
from ledger.reads.filters import ChargeFilter, Parameters, where
from ledger.reads.focus_columns import expression, moment
from ledger.reads.periods import Period
from ledger.window import midnight

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
    """A column of a file and the SQL of its values, over rows `c`."""

    name: str
    kind: Kind
    sql: str
    document: str | None = None
    """The same as JSONB, where it is a JSON document."""


_ACCOUNT: Final = (ExportColumn("x_namespace", "text", "c.namespace"), ExportColumn("x_provider", "text", "c.provider"))


def cost_columns() -> list[ExportColumn]:
    """Columns of the daily sums, over rows of the rollup."""
    return [
        ExportColumn("BilledCost", "decimal", "c.billed_cost"),
        ExportColumn("BillingCurrency", "text", "c.billing_currency"),
        ExportColumn("ChargeCategory", "text", "c.charge_category"),
        ExportColumn("ChargePeriodEnd", "time", moment("cast(c.day + 1 as timestamp)")),
        ExportColumn("ChargePeriodStart", "time", moment("cast(c.day as timestamp)")),
        ExportColumn(
            "ConsumedQuantity", "decimal", "case when c.consumed_unit is not null then c.consumed_quantity end"
        ),
        ExportColumn("ConsumedUnit", "text", "c.consumed_unit"),
        ExportColumn("ContractedCost", "decimal", "c.contracted_cost"),
        ExportColumn("EffectiveCost", "decimal", "c.effective_cost"),
        ExportColumn("ListCost", "decimal", "c.list_cost"),
        ExportColumn("ProviderName", "text", "c.provider"),
        ExportColumn("RegionId", "text", "c.region_id"),
        ExportColumn("ServiceCategory", "text", expression(COLUMNS["ServiceCategory"])),
        ExportColumn("ServiceName", "text", "c.service_name"),
        ExportColumn("SubAccountId", "text", "c.sub_account_id"),
        *_own(),
        *_ACCOUNT,
        ExportColumn("x_charges", "count", "c.charges"),
        ExportColumn("x_unpriced", "count", "c.unpriced"),
    ]


def charge_columns(foreign: Sequence[str]) -> list[ExportColumn]:
    """Columns of single charges; `foreign` are the keys of `extra` that become columns."""
    named = {_foreign_name(key): key for key in foreign}
    vendors = [ExportColumn(name, "text", f"c.extra ->> '{key}'") for name, key in sorted(named.items())]
    placed = ", ".join(f"'{key}'" for key in (*named.values(), *sorted(_FOCUS)))
    rest = f"nullif(c.extra - array[{placed}], '{{}}'::jsonb)"
    documents = {"Tags": "coalesce(c.tags, c.extra -> 'Tags')"}
    return [
        *(
            ExportColumn(column.name, column.kind, expression(column), documents.get(column.name))
            for column in columns(FOCUS_VERSION)
        ),
        *_own(),
        *_ACCOUNT,
        *vendors,
        ExportColumn(REST, "json", f"{rest}::text", rest),
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
    return [ExportColumn(name, "text", f"c.{column.field}") for name, column in OWN.items()]


def _foreign_name(key: str) -> str:
    return key if key.startswith("x_") else f"x_{key}"
