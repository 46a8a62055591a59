"""Providers: types and resolvers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import Enum

import strawberry

from api.graphql.context import Resolving
from api.graphql.inputs import LabelMatch, matches, text, texts
from api.graphql.paging import Connection, connection_of, page_size, read_cursor, write_cursor
from api.graphql.runs import SyncRun, page_of_runs, run_of
from api.graphql.scalars import BigInt, Document
from ledger.reads import providers as reading
from ledger.reads.runs import RunFilter


@strawberry.enum
class ConditionStatus(Enum):
    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@strawberry.enum(description="The kind of resource that declares it.")
class ProviderKind(Enum):
    PROVIDER = "Provider"
    MANUAL_COST = "ManualCost"


@strawberry.type(description="A condition as Kubernetes has them: Ready, Reconciling, Stalled, DoubleCounted.")
class Condition:
    type: str
    status: ConditionStatus
    reason: str
    message: str
    last_transition_time: datetime | None


@strawberry.type
class Money:
    amount: Decimal
    currency: str


@strawberry.type(description="The vendor's account that the credential opens.")
class VendorAccount:
    id: str | None
    name: str | None
    notes: list[str] = strawberry.field(description="What else is worth telling of it: scopes, plans, expiry.")
    checked_at: datetime | None = strawberry.field(description="When the vendor was asked for this.")


@strawberry.type(description="What the vendor takes for the syncs themselves.")
class SyncCost:
    calls: int = strawberry.field(description="Calls of a sync that have a price, about.")
    per_sync: Money
    per_month: Money = strawberry.field(description="In 30 days, at the Provider's interval.")


@strawberry.input(description="Every list means any of; several fields mean all of.")
class ProviderFilter:
    namespaces: list[str] | None = None
    names: list[str] | None = None
    types: list[str] | None = None
    labels: list[LabelMatch] | None = None
    ready: bool | None = None
    suspended: bool | None = None
    removed: bool | None = strawberry.field(
        default=False, description="Providers whose resource is gone; null shows them with the others."
    )

    def meant(self) -> reading.ProviderFilter:
        lists = {
            name: None if (given := getattr(self, name)) is None else texts(given, name)
            for name in ("namespaces", "names", "types")
        }
        return reading.ProviderFilter(
            **lists,
            labels=matches(self.labels, "labels"),
            ready=self.ready,
            suspended=self.suspended,
            removed=self.removed,
        )


@strawberry.type(description="A vendor account that is synced, or costs that were declared by hand.")
class Provider:
    id: strawberry.ID
    namespace: str
    name: str
    kind: ProviderKind
    type: str
    labels: Document
    suspended: bool
    attribution_only: bool = strawberry.field(
        description="Its charges are parts of what other providers bill: totals leave it out, unless asked by name."
    )
    removed: bool = strawberry.field(description="Its resource is gone; what it cost stays known.")
    conditions: list[Condition]
    account: VendorAccount | None = strawberry.field(
        description="Null until the vendor was asked, or if it tells none."
    )
    sync_cost: SyncCost | None = strawberry.field(description="Null where the vendor's calls are free.")
    place: str | None = strawberry.field(description="File and line of its manifest; null in a cluster.")
    complete_through: date | None = strawberry.field(description="The last day through which its data is whole.")
    last_sync_time: datetime | None = strawberry.field(description="End of the last sync that succeeded.")
    next_sync_time: datetime | None

    async def month_costs(self, info: Resolving) -> list[Money]:
        held = await info.context.month_costs.load((self.namespace, self.name))
        return [Money(amount=cost.amount, currency=cost.currency) for cost in held]

    async def unpriced(self, info: Resolving) -> BigInt:
        held = await info.context.month_costs.load((self.namespace, self.name))
        return BigInt(sum(cost.unpriced for cost in held))

    async def running(self, info: Resolving) -> SyncRun | None:
        run = await info.context.running.load((self.namespace, self.name))
        return None if run is None else run_of(run)

    async def runs(self, info: Resolving, first: int = 10, after: str | None = None) -> Connection[SyncRun]:
        return await page_of_runs(info, RunFilter(namespace=self.namespace, provider=self.name), first, after)

    month_to_date: list[Money] = strawberry.field(
        resolver=month_costs, description="Billed cost from the first of this UTC month through today, per currency."
    )
    unpriced_lines: BigInt = strawberry.field(
        resolver=unpriced, description="Charges of the same days that have no billed cost."
    )
    running_sync: SyncRun | None = strawberry.field(resolver=running)
    sync_runs: Connection[SyncRun] = strawberry.field(resolver=runs, description="Its syncs, newest first.")


async def providers(
    info: Resolving,
    *,
    filter: ProviderFilter | None = None,  # noqa: A002  # the schema's word
    first: int = 50,
    after: str | None = None,
) -> Connection[Provider]:
    chosen = (filter or ProviderFilter()).meant()
    wanted = page_size(first)
    parts = read_cursor(after, "providers", (str, str, str))
    place = None if parts is None else (parts[0], parts[1], parts[2])
    async with info.context.ledger() as connection:
        rows = await reading.providers(connection, chosen, first=wanted + 1, after=place)

    async def count() -> int:
        async with info.context.ledger() as connection:
            return await reading.count_providers(connection, chosen)

    return connection_of(rows, wanted, after, _provider, lambda row: write_cursor("providers", _place(row)), count)


async def provider(info: Resolving, *, namespace: str, name: str) -> Provider | None:
    async with info.context.ledger() as connection:
        found = await reading.provider(connection, text(namespace, "namespace"), text(name, "name"))
    return None if found is None else _provider(found)


def conditions_of(held: Sequence[reading.Condition]) -> list[Condition]:
    """Conditions as clients see them."""
    return [
        Condition(
            type=each.type,
            status=ConditionStatus(each.status),
            reason=each.reason,
            message=each.message,
            last_transition_time=each.last_transition_time,
        )
        for each in held
    ]


def _account(held: reading.VendorAccount | None) -> VendorAccount | None:
    if held is None:
        return None
    return VendorAccount(id=held.id, name=held.name, notes=list(held.notes), checked_at=held.checked_at)


def _sync_cost(held: reading.SyncCost | None) -> SyncCost | None:
    if held is None:
        return None
    sync, month = (Money(amount=each, currency=held.currency) for each in (held.per_sync, held.per_month))
    return SyncCost(calls=held.calls, per_sync=sync, per_month=month)


def _place(row: reading.Provider) -> tuple[str, str, str]:
    return (row.namespace, row.name, row.kind)


def _provider(row: reading.Provider) -> Provider:
    return Provider(
        id=strawberry.ID(write_cursor("Provider", _place(row))),
        namespace=row.namespace,
        name=row.name,
        kind=ProviderKind(row.kind),
        type=row.type,
        labels=Document(row.labels),
        suspended=row.suspended,
        attribution_only=row.attribution_only,
        removed=row.removed,
        conditions=conditions_of(row.conditions),
        account=_account(row.account),
        sync_cost=_sync_cost(row.sync_cost),
        place=row.place,
        complete_through=row.complete_through,
        last_sync_time=row.last_sync_at,
        next_sync_time=row.next_sync_at,
    )
