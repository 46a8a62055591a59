"""Which of the vendors' accounts each Provider's charges are of, and on which days, in this month and the last.

Two Providers may read one cloud account: by its cost API and by its export, or a member account and the payer beside
it. Both bills are true, and their sum is not. What tells is in the charges, whatever the settings say: who provides
the service (FOCUS ServiceProviderName), BillingAccountId, SubAccountId and, at Azure, the resource group.

An account is told by the finest of these that a Provider names. A coarser one says that two count the same only where
one of them names nothing finer (`alone`): two of a billing account's projects are not the same. Ids of the large
clouds are unique by themselves; any other vendor's sub account is told with its billing account, or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

from sqlalchemy import text

from ledger.database import WriterDB

CLOUDS: Final[Mapping[str, tuple[str, ...]]] = {
    "AWS": ("amazon web services", "amazon web services, inc.", "amazon"),
    "Google Cloud": ("google cloud platform", "gcp", "google"),
    "Microsoft": ("microsoft azure", "azure", "microsoft corporation"),
}
"""Names of clouds, and others by which files know them."""

_PROVIDES: Final = "lower(c.service_provider_name)"
_VENDOR: Final = "case {} else c.service_provider_name end".format(
    " ".join(
        f"when {_PROVIDES} in ({', '.join(repr(name) for name in (cloud.lower(), *others))}) then '{cloud}'"
        for cloud, others in CLOUDS.items()
    )
)
_IS_CLOUD: Final = f"vendor in ({', '.join(repr(cloud) for cloud in CLOUDS)})"
_LAST: Final = "regexp_replace(lower({}), '^.*/', '')"
"""Azure writes ids as paths, here and there: /subscriptions/ID; Google has projects/ID."""

# The rollup tells sub accounts and their days. Vendor and billing account are those of the charges of the last day of
# each, so that not all of them are read. Nothing is done where nothing has changed since it was done last.
_NOTE: Final = text(f"""
    with mine as materialized (
        select believed_at from provider
        where namespace = :namespace and name = :name and kind = 'Provider'
            and believed_at is distinct from accounts_at
    ), held as materialized (
        select coalesce(d.sub_account_id, '') as sub, d.day from mine, daily_cost d
        where d.namespace = :namespace and d.provider = :name and d.day >= :since group by 1, 2
    ), latest as materialized (
        select sub, max(day) as day from held group by 1
    ), said as (
        select distinct coalesce(c.sub_account_id, '') as sub, l.day, coalesce(c.billing_account_id, '') as billing,
            {_VENDOR} as vendor,
            case when {_VENDOR} = 'Microsoft' then coalesce(lower(c.extra ->> 'x_ResourceGroupName'), '') else '' end
                as part
        from (select distinct day from latest) l
        join charge c on c.namespace = :namespace and c.provider = :name
            and c.charge_period_start >= l.day::timestamp at time zone 'UTC'
            and c.charge_period_start < (l.day + 1)::timestamp at time zone 'UTC'
    ), months as (
        select sub, date_trunc('month', day)::date as month, bit_or(1 << (extract(day from day)::int - 1)) as days
        from held group by 1, 2
    ), told as (
        select vendor, month, days, part, {_IS_CLOUD} as cloud,
            case when {_IS_CLOUD} then {_LAST.format("s.sub")} else s.sub end as sub,
            case when {_IS_CLOUD} then {_LAST.format("billing")} else billing end as billing
        from said s join latest using (sub, day) join months using (sub)
    ), named as (
        select vendor, 'BillingAccount' as level, billing as account, month, sub = '' as alone, days
        from told where cloud and billing <> ''
        union all
        select vendor, 'SubAccount', case when cloud then sub else billing || '/' || sub end, month, part = '', days
        from told where sub <> '' and (cloud or billing <> '')
        union all
        select vendor, 'ResourceGroup', sub || '/' || part, month, true, days from told where sub <> '' and part <> ''
    ), found as materialized (
        select vendor, level, account, month, bool_and(alone) as alone, bit_or(days) as days from named
        group by 1, 2, 3, 4
    ), gone as (
        delete from billed_account b using mine
        where b.namespace = :namespace and b.provider = :name and not exists (
            select from found f where (f.vendor, f.level, f.account, f.month) = (b.vendor, b.level, b.account, b.month)
        ) returning 1
    ), put as (
        insert into billed_account as b (namespace, provider, month, vendor, level, account, alone, days)
        select cast(:namespace as text), cast(:name as text), month, vendor, level, account, alone, days from found
        on conflict (namespace, provider, month, vendor, level, account) do update
            set alone = excluded.alone, days = excluded.days
            where (b.alone, b.days) <> (excluded.alone, excluded.days)
        returning 1
    )
    update provider set accounts_at = mine.believed_at from mine where namespace = :namespace and name = :name
    returning exists (select from gone) or exists (select from put)
""")

SAME: Final = """
    select case when o.namespace = m.namespace then o.provider end as provider, q.deleted_at is not null as removed,
        m.vendor, count(distinct m.account) as count,
        (array_agg(distinct m.account order by m.account))[1:3] as accounts
    from billed_account m
    join billed_account o on o.account = m.account and o.month = m.month and o.vendor = m.vendor and o.level = m.level
        and (o.days & m.days) <> 0 and (o.alone or m.alone)
        and (o.namespace, o.provider) <> (m.namespace, m.provider)
    join provider q on q.namespace = o.namespace and q.name = o.provider and not q.attribution_only
    where m.namespace = p.namespace and m.provider = p.name and m.month >= :previous and not p.attribution_only
    group by 1, 2, 3 order by 1, 2, 3 limit 8
"""
"""SQL: who counts in totals what the provider `p` counts in totals, too."""


def since(today: date) -> date:
    """The first of the days that are looked at: of the month before this one."""
    return (today.replace(day=1) - timedelta(days=1)).replace(day=1)


async def note(db: WriterDB, namespace: str, name: str, today: date) -> bool:
    """Bring up to date what is known of a Provider's accounts, if its charges have changed; whether anything did."""
    async with db.statement() as connection:
        noted = await connection.execute(_NOTE, {"namespace": namespace, "name": name, "since": since(today)})
        return bool(noted.scalar())
