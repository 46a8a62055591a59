"""What an export is asked for and what it will hold: its question, its manifest, and where its rows come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.focus import json_text
from ledger.reads.completeness import completeness
from ledger.reads.cost_rows import charges_source, within
from ledger.reads.filters import BEYOND_ROLLUP, EVERYTHING, ChargeFilter, Parameters, where
from ledger.reads.periods import Period
from ledger.schema import ROLLUP_DIMENSIONS, ROLLUP_SUMS

What = Literal["charges", "costs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportQuestion:
    """What to write: single charges, or costs per day and dimensions of the rollup; as believed when."""

    what: What
    period: Period
    filter: ChargeFilter = EVERYTHING
    as_of: datetime | None = None

    @property
    def from_rollup(self) -> bool:
        """Whether the daily rollup knows the sums of what is asked for."""
        return self.as_of is None and not self.filter.asked() & BEYOND_ROLLUP


@dataclass(frozen=True, slots=True)
class CurrencyTotal:
    """Sums in one currency; `unpriced` charges have no billed cost and are in no sum."""

    currency: str
    billed_cost: Decimal
    effective_cost: Decimal
    charges: int
    unpriced: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a file holds: how many rows, and what its charges sum up to."""

    question: ExportQuestion
    rows: int
    totals: Sequence[CurrencyTotal]
    complete_through: date | None
    at: datetime
    """When the ledger was read."""

    def document(self) -> dict[str, Any]:
        """As JSON values under camelCase names; amounts are Decimals."""
        question = self.question
        return {
            "export": question.what,
            "from": question.period.first.isoformat(),
            "to": question.period.after_last.isoformat(),
            "filter": question.filter.document(),
            "asOf": question.as_of and _moment(question.as_of),
            "at": _moment(self.at),
            "rows": self.rows,
            "completeThrough": self.complete_through and self.complete_through.isoformat(),
            "totals": [
                {
                    "currency": total.currency,
                    "billedCost": f"{total.billed_cost:f}",
                    "effectiveCost": f"{total.effective_cost:f}",
                    "charges": total.charges,
                    "unpriced": total.unpriced,
                }
                for total in self.totals
            ],
        }

    def text(self) -> str:
        """The document as JSON text."""
        return json_text(self.document())


async def describe(connection: AsyncConnection, question: ExportQuestion, now: datetime) -> Manifest:
    """What an export would hold. `now` is the time of reading."""
    whole = await completeness(connection, question.filter, as_of=question.as_of)
    rollup = question.from_rollup
    parameters = Parameters()
    charges = "sum(c.charges)" if rollup else "count(*)"
    unpriced = "sum(c.unpriced)" if rollup else "count(*) - count(c.billed_cost)"
    found = await connection.execute(
        text(f"""
            select c.billing_currency as currency, coalesce(sum(c.billed_cost), 0) as billed_cost,
                coalesce(sum(c.effective_cost), 0) as effective_cost,
                ({charges})::bigint as charges, ({unpriced})::bigint as unpriced
            from {"daily_cost c" if rollup else charges_source(question.as_of, parameters)}
            where {within(question.period, parameters, rollup=rollup)}
                and {where(question.filter, parameters, "c")}
            group by 1 order by 1
        """),
        parameters.values,
    )
    totals = [CurrencyTotal(*row) for row in found]
    rows = sum(total.charges for total in totals)
    if question.what == "costs":
        rows = await _count(connection, question)
    return Manifest(question, rows, totals, whole.through, now)


def rows_from(question: ExportQuestion, parameters: Parameters) -> str:
    """The rest of a statement behind `select ...`: the rows `c` of the export."""
    rollup = question.what == "costs" and question.from_rollup
    source = "daily_cost c" if rollup else charges_source(question.as_of, parameters)
    chosen = (
        f"{source} where {within(question.period, parameters, rollup=rollup)} "
        f"and {where(question.filter, parameters, 'c')}"
    )
    return f"from {chosen}" if rollup or question.what == "charges" else f"from ({_summed(chosen)}) c"


def _summed(chosen: str) -> str:
    """Rows shaped like the rollup's, added up from charges."""
    groups = ", ".join(f"c.{name}" for name in ("namespace", "provider", *ROLLUP_DIMENSIONS))
    sums = ", ".join(f"coalesce(sum(c.{name}), 0) as {name}" for name in ROLLUP_SUMS)
    return f"""
        select {groups}, (c.charge_period_start at time zone 'UTC')::date as day, {sums},
            count(*) as charges, count(*) - count(c.billed_cost) as unpriced
        from {chosen} group by {groups}, day
    """


async def _count(connection: AsyncConnection, question: ExportQuestion) -> int:
    parameters = Parameters()
    statement = f"select count(*) {rows_from(question, parameters)}"
    return int((await connection.execute(text(statement), parameters.values)).scalar_one())


def _moment(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
