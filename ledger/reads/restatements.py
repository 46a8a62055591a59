"""What vendors changed after the fact: per sync run, window and currency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.errors import InvalidQuestion
from ledger.reads.filters import EVERYTHING, ChargeFilter, Parameters, where
from ledger.reads.periods import Period
from ledger.window import midnight


@dataclass(frozen=True, slots=True, kw_only=True)
class Restatement:
    """What one window of one run changed in one currency; amounts are billed costs.

    `restated` says that the days had been whole before. False: figures that were still arriving.
    """

    namespace: str
    provider: str
    run_id: int
    window_start: datetime
    window_end: datetime
    billing_currency: str
    restated: bool
    at: datetime
    rows_inserted: int
    rows_changed: int
    rows_removed: int
    amount_inserted: Decimal
    amount_changed: Decimal
    amount_removed: Decimal
    net: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class RestatementQuestion:
    """Which restatements: of windows that touch the period, of providers and currencies that the filter means.

    `restated` of None also shows what was merely still arriving. Raises InvalidQuestion for filters on
    dimensions that the report does not keep.
    """

    period: Period | None = None
    filter: ChargeFilter = EVERYTHING
    restated: bool | None = True

    def __post_init__(self) -> None:
        unknown = self.filter.asked() - {"namespaces", "providers", "labels", "currencies"}
        if unknown:
            raise InvalidQuestion(
                "restatements are kept per provider and currency; filter them by namespaces, providers, labels and "
                "currencies only",
                "filter",
            )


Place = tuple[datetime, str, str, int, datetime, str, bool]
"""When, namespace, provider, run, window, currency and kind: the order of the report."""

_ORDER: Final = ("at", "namespace", "provider", "run_id", "window_start", "billing_currency", "restated")
_KINDS: Final = ("timestamptz", "text", "text", "bigint", "timestamptz", "text", "boolean")
_COLUMNS: Final = ", ".join(field.name for field in fields(Restatement))


def place(row: Restatement) -> Place:
    """Where a row stands in the report."""
    return (
        row.at,
        row.namespace,
        row.provider,
        row.run_id,
        row.window_start,
        row.billing_currency,
        row.restated,
    )


async def restatements(
    connection: AsyncConnection, question: RestatementQuestion, *, first: int, after: Place | None = None
) -> Sequence[Restatement]:
    """Restatements, latest first, behind `after`."""
    parameters = Parameters()
    conditions = _conditions(question, parameters)
    if after is not None:
        held = (f"cast({parameters.add(value)} as {kind})" for value, kind in zip(after, _KINDS, strict=True))
        conditions.append(f"({', '.join(_ORDER)}) < ({', '.join(held)})")
    statement = f"""
        select {_COLUMNS} from restatement c where {" and ".join(conditions)}
        order by {", ".join(f"{name} desc" for name in _ORDER)} limit {parameters.add(first)}
    """
    rows = await connection.execute(text(statement), parameters.values)
    return [_restatement(row) for row in rows]


async def count_restatements(connection: AsyncConnection, question: RestatementQuestion) -> int:
    """How many restatements the question means."""
    parameters = Parameters()
    conditions = _conditions(question, parameters)
    statement = f"select count(*) from restatement c where {' and '.join(conditions)}"
    return int((await connection.execute(text(statement), parameters.values)).scalar_one())


def _conditions(question: RestatementQuestion, parameters: Parameters) -> list[str]:
    conditions = [where(question.filter, parameters, "c")]
    if question.period is not None:
        first, after_last = (midnight(day) for day in (question.period.first, question.period.after_last))
        conditions.append(f"c.window_end > cast({parameters.add(first)} as timestamptz)")
        conditions.append(f"c.window_start < cast({parameters.add(after_last)} as timestamptz)")
    if question.restated is not None:
        conditions.append(f"c.restated = cast({parameters.add(question.restated)} as boolean)")
    return conditions


def _restatement(row: Any) -> Restatement:
    return Restatement(**row._mapping)  # noqa: SLF001  # SQLAlchemy's public name for it
