"""What scopes cost by day and how whole their providers are: one statement for any number of scopes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.alerts.rule import CostMetric, Scope
from ledger.reads.periods import Period

# One row for each scope and provider of it: the planner, which knows nothing of either, must not join them again.
_ASKED: Final = """
    asked as materialized (
        select * from jsonb_to_recordset(cast(:asked as jsonb)) as a(
            id int, namespace text, providers text[], labels jsonb, services text[], sub_accounts text[], tags jsonb,
            effective boolean, first date, after_last date
        )
    ),
    member as materialized (
        select a.*, p.name, p.complete_through, p.suspended and p.complete_through is null as idle,
            p.deleted_at is not null as removed
        from asked a join provider p on p.namespace = a.namespace and p.labels @> a.labels
            and case when a.providers is null then not p.attribution_only else p.name = any(a.providers) end
    )
"""

# The rollup is added up once to the dimensions that scopes know, and its days are packed into one row for each of
# their values, so that a thousand scopes are compared with dozens of rows and not with a month of them.
_BY_DAY: Final = text(f"""
    with {_ASKED}, cell as (
        select namespace, provider, service_name, sub_account_id, billing_currency, day,
            sum(billed_cost) as billed, sum(effective_cost) as effective
        from daily_cost
        where namespace in (select namespace from member) and provider in (select name from member)
            and day >= (select min(first) from asked) and day < (select max(after_last) from asked)
        group by 1, 2, 3, 4, 5, 6
    ), packed as materialized (
        select namespace, provider, service_name, sub_account_id, billing_currency, array_agg(day) as days,
            array_agg(billed) as billed, array_agg(effective) as effective
        from cell group by 1, 2, 3, 4, 5
    ), summed as (
        select a.id, c.billing_currency, held.day, sum(held.amount) as amount
        from member a join packed c on c.namespace = a.namespace and c.provider = a.name
            and (a.services is null or c.service_name = any(a.services))
            and (a.sub_accounts is null or c.sub_account_id = any(a.sub_accounts))
        cross join unnest(c.days, case when a.effective then c.effective else c.billed end) as held (day, amount)
        where a.tags = '{{}}' and held.day >= a.first and held.day < a.after_last
        group by 1, 2, 3
    )
    select id, billing_currency as currency, array_agg(day) as days, array_agg(amount) as amounts
    from summed group by 1, 2 order by 1, 2
""")

_TAGGED: Final = text(f"""
    with {_ASKED}, summed as (
        select a.id, c.billing_currency, (c.charge_period_start at time zone 'UTC')::date as day,
            coalesce(sum(case when a.effective then c.effective_cost else c.billed_cost end), 0) as amount
        from member a join charge c on c.namespace = a.namespace and c.provider = a.name and c.tags @> a.tags
            and c.charge_period_start >= a.first::timestamp at time zone 'UTC'
            and c.charge_period_start < a.after_last::timestamp at time zone 'UTC'
            and (a.services is null or c.service_name = any(a.services))
            and (a.sub_accounts is null or c.sub_account_id = any(a.sub_accounts))
        where a.tags <> '{{}}'
        group by 1, 2, 3
    )
    select id, billing_currency as currency, array_agg(day) as days, array_agg(amount) as amounts
    from summed group by 1, 2 order by 1, 2
""")

# A provider that has no data yet makes its scope unknown; one that is gone, or was never begun, does not.
_WHOLE: Final = text(f"""
    with {_ASKED}, known as materialized (
        select namespace, name, (
            select d.day from daily_cost d where d.namespace = p.namespace and d.provider = p.name
            order by d.day limit 1
        ) as since
        from (select distinct namespace, name from member) p
    )
    select id, count(*) filter (where not removed and not idle) as providers,
        case when bool_or(complete_through is null and not removed and not idle) then null
            else coalesce(min(complete_through) filter (where not removed), max(complete_through)) end as through,
        min(since) as since
    from member join known using (namespace, name) group by id
""")

_DRIVERS: Final = text(f"""
    with {_ASKED}
    select c.service_name as name, sum(case when a.effective then c.effective_cost else c.billed_cost end) as amount
    from member a join daily_cost c on c.namespace = a.namespace and c.provider = a.name
        and c.day >= a.first and c.day < a.after_last
        and (a.services is null or c.service_name = any(a.services))
        and (a.sub_accounts is null or c.sub_account_id = any(a.sub_accounts))
    where c.billing_currency = :currency
    group by 1 having sum(case when a.effective then c.effective_cost else c.billed_cost end) > 0
    order by 2 desc, 1 limit :most
""")


@dataclass(frozen=True, slots=True)
class Ask:
    """Whose charges, of which scope and days [first, after_last)."""

    namespace: str
    scope: Scope
    metric: CostMetric
    first: date
    after_last: date

    def document(self, number: int) -> dict[str, Any]:
        """As the statements read it."""
        return {
            **self.scope.document(),
            "id": number,
            "namespace": self.namespace,
            "effective": self.metric == "EffectiveCost",
            "first": self.first.isoformat(),
            "after_last": self.after_last.isoformat(),
        }


@dataclass(slots=True)
class ScopeSums:
    """Amounts by currency and UTC day, and how whole the scope's providers are (see ledger.budget.Spending)."""

    amounts: dict[str, dict[date, Decimal]] = field(default_factory=dict)
    providers: int = 0
    through: date | None = None
    since: date | None = None


async def sums(connection: AsyncConnection, asks: Sequence[Ask]) -> Sequence[ScopeSums]:
    """The sums of each ask, in their order; what the connection may not see is not there."""
    found = [ScopeSums() for _ in asks]
    asked = {"asked": _documents(asks)}
    if not asks:
        return found
    # Asked first, so that a sync between the statements makes the sums more complete than said, never less.
    for row in await connection.execute(_WHOLE, asked):
        held = found[row.id]
        held.providers, held.through, held.since = row.providers, row.through, row.since
    statements = [_BY_DAY] if any(not ask.scope.tags for ask in asks) else []
    if any(ask.scope.tags for ask in asks):
        statements.append(_TAGGED)
    for statement in statements:
        for row in await connection.execute(statement, asked):
            found[row.id].amounts[row.currency] = dict(zip(row.days, row.amounts, strict=True))
    return found


async def drivers(
    connection: AsyncConnection, ask: Ask, currency: str, period: Period, most: int = 3
) -> Mapping[str, Decimal]:
    """The services of the scope that cost most in the period, largest first; tags of the scope are not looked at."""
    within = Ask(ask.namespace, ask.scope, ask.metric, period.first, period.after_last)
    rows = await connection.execute(_DRIVERS, {"asked": _documents([within]), "currency": currency, "most": most})
    return {row.name: row.amount for row in rows}


def _documents(asks: Sequence[Ask]) -> str:
    return json.dumps([ask.document(number) for number, ask in enumerate(asks)])


def earliest(period: Period, before: Period) -> date:
    """The first day that judging a period needs: its own, the previous one's, and those of the burn rate."""
    return min(before.first, period.first - timedelta(days=7))
