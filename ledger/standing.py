"""How a provider stands, in the few figures that its status shows and that decide whether a sync is due."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import text

from ledger import billed_accounts
from ledger.database import WriterDB

_PROVIDER = text(f"""
    select last_sync_at, next_sync_at, complete_through, run.outcome, run.reason, run.error, run.ended_at,
        exists (
            select from sync_request r
            where r.namespace = p.namespace and r.provider = p.name and r.run_id is null
        ) as asked,
        coalesce(month.currencies, '{{}}') as currencies, coalesce(month.amounts, '{{}}') as amounts, (
            select coalesce(sum(unpriced), 0)::bigint from daily_service_cost d
            where d.namespace = p.namespace and d.provider = p.name
        ) as unpriced, p.kind = 'Provider' and p.believed_at is distinct from p.accounts_at as is_unsorted, (
            select coalesce(jsonb_agg(same), '[]') from ({billed_accounts.SAME}) same
        ) as doubles
    from provider p
    left join lateral (
        select outcome, reason, error, finished_at as ended_at from sync_run s
        where s.namespace = p.namespace and s.provider = p.name and s.outcome not in ('Running', 'Abandoned')
        order by s.id desc limit 1
    ) run on true
    left join lateral (
        select array_agg(billing_currency order by billing_currency) as currencies,
            array_agg(amount order by billing_currency) as amounts
        from (
            select billing_currency, sum(billed_cost) as amount from daily_service_cost d
            where d.namespace = p.namespace and d.provider = p.name and d.day >= :first and d.day <= :today
            group by billing_currency
        ) by_currency
    ) month on true
    where p.namespace = :namespace and p.name = :name
""")

_WAITING = text("select distinct namespace, provider from sync_request where run_id is null")


@dataclass(frozen=True, slots=True)
class Double:
    """Accounts that another provider counts in totals as well: how many, and the names of the first.

    `provider` is None where it is of another namespace, whose names are not told; `removed` where its resource is gone
    and its charges were kept.
    """

    provider: str | None
    removed: bool
    vendor: str
    count: int
    accounts: Sequence[str]


@dataclass(frozen=True, slots=True)
class Standing:
    """`month_to_date` is billed cost by currency, this UTC month up to and with today. `asked`: a request waits.

    `outcome`, `reason`, `error` and `ended_at` are those of the last run that came to an end; None before the first.
    `doubles` are as `billed_accounts` knows them; `is_unsorted` where the charges have changed since it was told.
    """

    outcome: str | None
    reason: str | None
    error: str | None
    ended_at: datetime | None
    last_sync_at: datetime | None
    next_sync_at: datetime | None
    complete_through: date | None
    asked: bool
    month_to_date: Mapping[str, Decimal]
    unpriced: int
    is_unsorted: bool = False
    doubles: Sequence[Double] = ()


async def standing(db: WriterDB, namespace: str, name: str, today: date) -> Standing | None:
    """The provider's figures; None when the ledger does not know it."""
    values = {"namespace": namespace, "name": name, "today": today, "first": today.replace(day=1)}
    values["previous"] = billed_accounts.since(today)
    async with db.statement() as connection:
        row = (await connection.execute(_PROVIDER, values)).first()
    if row is None:
        return None
    known = row._asdict()
    sums = dict(zip(known.pop("currencies"), known.pop("amounts"), strict=True))
    doubles = [Double(**same) for same in known.pop("doubles")]
    return Standing(**known, month_to_date=sums, doubles=doubles)


async def waiting(db: WriterDB) -> list[tuple[str, str]]:
    """Namespace and name of every provider for which a sync was asked for by hand and not begun."""
    async with db.statement() as connection:
        return [(row.namespace, row.provider) for row in await connection.execute(_WAITING)]
