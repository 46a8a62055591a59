"""Budgets: what is declared, and how each stands by what the ledger holds now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.alerts.book import Name
from ledger.budgets import BudgetStanding, Terms, standings
from ledger.reads.filters import Parameters, among
from ledger.reads.providers import Condition, condition

# A spec that was never found good, or not yet, says nothing that could be relied on.
_GOOD: Final = """
    r.status @> '{"conditions": [{"type": "Ready", "status": "True"}]}'
        and (r.status ->> 'observedGeneration')::bigint = r.generation
"""
_BUDGETS: Final = f"""
    select r.namespace, r.name, r.spec, r.status, r.place, {_GOOD} as good
    from resource r where r.kind = 'Budget' and r.deleted_at is null
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A Budget. `terms` and `stood` are None as long as its spec was not found good."""

    namespace: str
    name: str
    conditions: Sequence[Condition]
    place: str | None
    """File and line of its manifest; None in a cluster."""
    terms: Terms | None
    stood: BudgetStanding | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetFilter:
    """Which budgets; every field given must hold."""

    namespaces: tuple[str, ...] | None = None
    names: tuple[str, ...] | None = None


async def budgets(
    connection: AsyncConnection,
    chosen: BudgetFilter,
    today: date,
    *,
    first: int | None = None,
    after: Name | None = None,
) -> Sequence[Budget]:
    """Budgets by namespace and name, behind `after`, as they stand on `today` (UTC)."""
    parameters = Parameters()
    conditions = _conditions(chosen, parameters)
    if after is not None:
        names = ", ".join(f"cast({parameters.add(value)} as text)" for value in after)
        conditions += f" and (r.namespace, r.name) > ({names})"
    statement = f"{_BUDGETS} {conditions} order by r.namespace, r.name limit {parameters.add(first)}"
    rows = (await connection.execute(text(statement), parameters.values)).all()
    terms = {Name(row.namespace, row.name): Terms.of_spec(row.spec) for row in rows if row.good}
    asked = [(name.namespace, each) for name, each in terms.items()]
    stood = dict(zip(terms, await standings(connection, asked, today), strict=True))
    return [_budget(row, terms, stood) for row in rows]


async def count_budgets(connection: AsyncConnection, chosen: BudgetFilter) -> int:
    """How many budgets match."""
    parameters = Parameters()
    statement = f"select count(*) from ({_BUDGETS} {_conditions(chosen, parameters)}) counted"
    return int((await connection.execute(text(statement), parameters.values)).scalar_one())


async def budget(connection: AsyncConnection, namespace: str, name: str, today: date) -> Budget | None:
    """One budget."""
    found = await budgets(connection, BudgetFilter(namespaces=(namespace,), names=(name,)), today)
    return found[0] if found else None


def _conditions(chosen: BudgetFilter, parameters: Parameters) -> str:
    return " and ".join(["", *among({"r.namespace": chosen.namespaces, "r.name": chosen.names}, parameters)])


def _budget(row: Any, terms: Mapping[Name, Terms], stood: Mapping[Name, BudgetStanding]) -> Budget:
    name = Name(row.namespace, row.name)
    return Budget(
        namespace=row.namespace,
        name=row.name,
        conditions=[condition(held) for held in row.status.get("conditions", ())],
        place=row.place,
        terms=terms.get(name),
        stood=stood.get(name),
    )
