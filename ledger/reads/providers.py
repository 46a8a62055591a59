"""Providers: what is declared, how its sync fares, and what it cost this month."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.reads.filters import Match, Parameters
from ledger.window import DAY, month_start

MANUAL: Final = "manual"
"""The type shown of a ManualCost."""

Name = tuple[str, str]
"""Namespace and name."""

# A resource that was refused from the start has no account, an account whose resource is gone may still have its
# history: both are shown, one row for each namespace, kind and name.
_PROVIDERS: Final = f"""(
    select coalesce(a.namespace, r.namespace) as namespace, coalesce(a.name, r.name) as name,
        coalesce(a.kind, r.kind) as kind,
        coalesce(a.type, r.spec ->> 'type', case when r.kind = 'ManualCost' then '{MANUAL}' end, '') as type,
        coalesce(r.labels, a.labels) as labels, coalesce(a.suspended, false) as suspended,
        coalesce(a.attribution_only, false) as attribution_only,
        coalesce(r.status, '{{}}'::jsonb) as status, r.place,
        a.complete_through, a.last_sync_at, a.next_sync_at,
        r.name is null and a.deleted_at is not null as removed
    from (select * from resource where deleted_at is null and kind in ('Provider', 'ManualCost')) r
    full join provider a on a.namespace = r.namespace and a.name = r.name and a.kind = r.kind
)"""


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition as Kubernetes shows them."""

    type: str
    status: str
    reason: str
    message: str
    last_transition_time: datetime | None


@dataclass(frozen=True, slots=True)
class VendorAccount:
    """The account that the credential opens, as the vendor told it at `checked_at`."""

    id: str | None
    name: str | None
    notes: Sequence[str]
    checked_at: datetime | None


@dataclass(frozen=True, slots=True)
class SyncCost:
    """What the vendor takes for the syncs themselves: about `calls` a sync, and 30 days of syncs `per_month`."""

    calls: int
    per_sync: Decimal
    per_month: Decimal
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A Provider or ManualCost."""

    namespace: str
    name: str
    kind: str
    type: str
    labels: Mapping[str, str]
    suspended: bool
    attribution_only: bool
    """Its charges are parts of what others bill; no total counts them unless asked to."""
    conditions: Sequence[Condition]
    account: VendorAccount | None
    sync_cost: SyncCost | None
    """None where calls are free."""
    place: str | None
    """File and line of its manifest; None in a cluster."""
    complete_through: date | None
    last_sync_at: datetime | None
    """End of the last sync that succeeded."""
    next_sync_at: datetime | None
    removed: bool
    """Its resource is gone; what it cost stays known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderFilter:
    """Which providers; every field given must hold."""

    namespaces: tuple[str, ...] | None = None
    names: tuple[str, ...] | None = None
    types: tuple[str, ...] | None = None
    labels: tuple[Match, ...] = ()
    ready: bool | None = None
    suspended: bool | None = None
    removed: bool | None = False


@dataclass(frozen=True, slots=True)
class MonthCost:
    """What a provider cost in one currency since the month began, and its charges without a price."""

    currency: str
    amount: Decimal
    unpriced: int


async def providers(
    connection: AsyncConnection,
    chosen: ProviderFilter,
    *,
    first: int | None = None,
    after: tuple[str, str, str] | None = None,
) -> Sequence[Provider]:
    """Providers by namespace, name and kind, behind `after` (of the same three)."""
    parameters = Parameters()
    conditions = _conditions(chosen, parameters)
    if after is not None:
        names = ", ".join(f"cast({parameters.add(value)} as text)" for value in after)
        conditions.append(f"(namespace, name, kind) > ({names})")
    statement = f"""
        select * from {_PROVIDERS} p where {" and ".join(conditions)}
        order by namespace, name, kind limit {parameters.add(first)}
    """
    rows = await connection.execute(text(statement), parameters.values)
    return [_provider(row) for row in rows]


async def count_providers(connection: AsyncConnection, chosen: ProviderFilter) -> int:
    """How many providers match."""
    parameters = Parameters()
    statement = f"select count(*) from {_PROVIDERS} p where {' and '.join(_conditions(chosen, parameters))}"
    return int((await connection.execute(text(statement), parameters.values)).scalar_one())


async def provider(connection: AsyncConnection, namespace: str, name: str) -> Provider | None:
    """The provider of that name, a removed one included; of a Provider and a ManualCost the one with the account."""
    parameters = Parameters()
    statement = f"""
        select p.* from {_PROVIDERS} p
        left join provider held on held.namespace = p.namespace and held.name = p.name and held.kind = p.kind
        where p.namespace = {parameters.add(namespace)} and p.name = {parameters.add(name)}
        order by p.removed, held.name is null, p.kind desc limit 1
    """
    row = (await connection.execute(text(statement), parameters.values)).first()
    return None if row is None else _provider(row)


async def month_to_date(
    connection: AsyncConnection, names: Collection[Name], now: datetime
) -> Mapping[Name, Sequence[MonthCost]]:
    """What each of these providers cost from the first of `now`'s UTC month through its day, per currency."""
    found: dict[Name, list[MonthCost]] = {name: [] for name in names}
    rows = await connection.execute(
        text("""
            select c.namespace, c.provider, c.billing_currency as currency, sum(c.billed_cost) as amount,
                sum(c.unpriced)::bigint as unpriced
            from daily_service_cost c
            join unnest(cast(:namespaces as text[]), cast(:names as text[])) asked (namespace, name)
                on asked.namespace = c.namespace and asked.name = c.provider
            where c.day >= :first and c.day < :after_last
            group by 1, 2, 3 order by 1, 2, 3
        """),
        {
            "namespaces": [namespace for namespace, _ in names],
            "names": [name for _, name in names],
            "first": month_start(now).date(),
            "after_last": now.date() + DAY,
        },
    )
    for row in rows:
        found[row.namespace, row.provider].append(MonthCost(row.currency, row.amount, row.unpriced))
    return found


def _conditions(chosen: ProviderFilter, parameters: Parameters) -> list[str]:
    conditions = ["true"]
    for column, values in (("namespace", chosen.namespaces), ("name", chosen.names), ("type", chosen.types)):
        if values is not None:
            conditions.append(f"p.{column} = any(cast({parameters.add(list(values))} as text[]))")
    conditions += [match.condition("p.labels", parameters) for match in chosen.labels]
    for column, wanted in (("suspended", chosen.suspended), ("removed", chosen.removed)):
        if wanted is not None:
            conditions.append(f"p.{column} = cast({parameters.add(wanted)} as boolean)")
    if chosen.ready is not None:
        ready = """coalesce(p.status @> '{"conditions": [{"type": "Ready", "status": "True"}]}', false)"""
        conditions.append(f"{ready} = cast({parameters.add(chosen.ready)} as boolean)")
    return conditions


def _provider(row: Any) -> Provider:
    return Provider(
        namespace=row.namespace,
        name=row.name,
        kind=row.kind,
        type=row.type,
        labels=row.labels or {},
        suspended=row.suspended,
        attribution_only=row.attribution_only,
        conditions=[condition(held) for held in row.status.get("conditions", ())],
        account=_account(row.status.get("account")),
        sync_cost=_sync_cost(row.status.get("syncCost")),
        place=row.place,
        complete_through=row.complete_through,
        last_sync_at=row.last_sync_at,
        next_sync_at=row.next_sync_at,
        removed=row.removed,
    )


def _account(held: Mapping[str, Any] | None) -> VendorAccount | None:
    if held is None:
        return None
    at = held.get("checkedAt")
    return VendorAccount(
        held.get("id"), held.get("name"), tuple(held.get("notes", ())), datetime.fromisoformat(at) if at else None
    )


def _sync_cost(held: Mapping[str, Any] | None) -> SyncCost | None:
    if held is None:
        return None
    sync, month = held["perSync"], held["perMonth"]
    return SyncCost(held["calls"], Decimal(sync["amount"]), Decimal(month["amount"]), sync["currency"])


def condition(held: Mapping[str, Any]) -> Condition:
    """A condition as a status holds it."""
    since = held.get("lastTransitionTime")
    return Condition(
        type=str(held.get("type", "")),
        status=str(held.get("status", "Unknown")),
        reason=str(held.get("reason", "")),
        message=str(held.get("message", "")),
        last_transition_time=datetime.fromisoformat(since) if since else None,
    )
