"""Figures for monitoring, read in few statements at the moment they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.window import month_start

TOP: Final = 500
"""Services shown one by one; what is smaller is added up per provider and currency as OTHER."""
OTHER: Final = "other"
LATELY: Final = timedelta(days=1)

# The last whole day is each provider's own. Ranking is over everything, so that the number of series is bounded.
# Provider by provider, so that each one's few days are looked up, however many years there are.
_SPEND = text("""
    with held as (
        select p.namespace, p.name as provider, spent.* from provider p cross join lateral (
            select d.service_name as service, d.billing_currency as currency,
                coalesce(sum(d.billed_cost) filter (where d.day >= :month), 0) as month,
                coalesce(sum(d.billed_cost) filter (where d.day = p.complete_through), 0) as last_day,
                coalesce(sum(d.unpriced) filter (where d.day >= :month), 0)::bigint as unpriced
            from daily_service_cost d
            where d.namespace = p.namespace and d.provider = p.name
                and d.day >= least(:month, p.complete_through) and d.day <= :today
                and (d.day >= :month or d.day = p.complete_through)
            group by 1, 2
        ) spent
        where not p.attribution_only
    ), ranked as (
        select *, row_number() over (
            order by greatest(abs(month), abs(last_day)) desc, namespace, provider, service, currency
        ) as place from held
    )
    select namespace, provider, case when place <= :top then service else :other end as service, currency,
        sum(month) as month, sum(last_day) as last_day, sum(unpriced)::bigint as unpriced
    from ranked group by 1, 2, 3, 4 order by 1, 2, 3, 4
""")

_PROVIDERS = text("""
    select p.namespace, p.name as provider, p.type, p.suspended, p.created_at, p.complete_through,
        coalesce((p.complete_through + 2)::timestamp at time zone 'UTC', p.created_at) + p.lag as data_due,
        p.last_sync_at, p.next_sync_at, r.status @> '{"conditions": [{"type": "Ready", "status": "True"}]}' as ready,
        run.outcome, extract(epoch from run.finished_at - run.started_at)::float8 as seconds,
        coalesce(calls.calls, 0) as calls,
        case when jsonb_typeof(r.spec #> '{callBudget,perDay}') = 'number'
            then nullif((r.spec #>> '{callBudget,perDay}')::numeric, 0)::float8 end as call_budget
    from provider p
    left join resource r on r.namespace = p.namespace and r.name = p.name and r.kind = p.kind
    left join lateral (
        select outcome, started_at, finished_at from sync_run s
        where s.namespace = p.namespace and s.provider = p.name and s.outcome <> 'Running'
        order by id desc limit 1
    ) run on true
    left join vendor_call calls on calls.namespace = p.namespace and calls.provider = p.name and calls.day = :today
    where p.deleted_at is null order by 1, 2
""")

_OUTCOMES = text("""
    select namespace, provider, outcome, count(*) as runs from sync_run
    where started_at >= :since group by 1, 2, 3 order by 1, 2, 3
""")

_RESTATED = text("""
    select namespace, provider, billing_currency as currency, sum(net) as net from restatement
    where restated and at >= :since group by 1, 2, 3 order by 1, 2, 3
""")

_QUEUE = text("""
    select (select count(*) from sync_request where run_id is null) as waiting,
        (select min(requested_at) from sync_request where run_id is null) as oldest,
        pg_database_size(current_database()) as bytes,
        (
            select coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint from pg_inherits i
            join pg_class c on c.oid = i.inhrelid where i.inhparent = 'charge'::regclass
        ) as rows
""")


@dataclass(frozen=True, slots=True)
class Spend:
    """Billed cost of a service in one currency: this UTC month through today, and on the last whole day."""

    namespace: str
    provider: str
    service: str
    currency: str
    month: Decimal
    last_day: Decimal
    unpriced: int


@dataclass(frozen=True, slots=True)
class ProviderState:
    """How a provider stands; `outcome` and `seconds` are those of its last sync that ended."""

    namespace: str
    provider: str
    type: str
    suspended: bool
    created_at: datetime
    complete_through: date | None
    data_due: datetime | None
    """When the first day that is not whole should be; None where nothing is expected."""
    last_sync_at: datetime | None
    next_sync_at: datetime | None
    ready: bool | None
    outcome: str | None
    seconds: float | None
    calls: int
    """Requests made to the vendor today."""
    call_budget: float | None
    """How many may be made in a day, where that is declared."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """How many syncs, begun within LATELY, came to this outcome."""

    namespace: str
    provider: str
    outcome: str
    runs: int


@dataclass(frozen=True, slots=True)
class Restated:
    """By how much vendors restated whole days within LATELY."""

    namespace: str
    provider: str
    currency: str
    net: Decimal


@dataclass(frozen=True, slots=True)
class House:
    """The database and what waits in it. `rows` is Postgres' estimate of the charges it holds."""

    waiting: int
    oldest: datetime | None
    bytes: int
    rows: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything that is monitored."""

    spend: Sequence[Spend]
    providers: Sequence[ProviderState]
    outcomes: Sequence[Outcomes]
    restated: Sequence[Restated]
    house: House


async def figures(connection: AsyncConnection, now: datetime) -> Figures:
    """The figures of what the connection may see."""
    today, since = now.date(), {"since": now - LATELY}
    asked = {"month": month_start(now).date(), "today": today, "top": TOP, "other": OTHER}
    spend = [Spend(*row) for row in await connection.execute(_SPEND, asked)]
    providers = [ProviderState(*row) for row in await connection.execute(_PROVIDERS, {"today": today})]
    outcomes = [Outcomes(*row) for row in await connection.execute(_OUTCOMES, since)]
    restated = [Restated(*row) for row in await connection.execute(_RESTATED, since)]
    house = House(*(await connection.execute(_QUEUE)).one())
    return Figures(spend, providers, outcomes, restated, house)
