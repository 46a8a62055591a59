"""Budgets: types and resolvers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal, localcontext
from enum import Enum
from itertools import accumulate
from typing import Final

import strawberry

from api.graphql.context import Resolving
from api.graphql.inputs import text, texts
from api.graphql.paging import Connection, connection_of, page_size, read_cursor, write_cursor
from api.graphql.providers import Condition, Money, conditions_of
from api.graphql.scalars import Document
from ledger import budgets as standing
from ledger.alerts.book import Name
from ledger.alerts.rule import CostMetric, Scope
from ledger.money import EXACT
from ledger.reads import budgets as reading
from ledger.reads.questions import Metric


@strawberry.enum(description="The calendar's periods, in UTC; weeks begin on Monday.")
class BudgetPeriod(Enum):
    DAILY = "Daily"
    WEEKLY = "Weekly"
    MONTHLY = "Monthly"
    QUARTERLY = "Quarterly"
    YEARLY = "Yearly"


@strawberry.type(description="Which charges of the namespace count: any of each list, and all labels and tags.")
class BudgetScope:
    providers: list[str] | None = strawberry.field(description="null: all but those that only attribute.")
    labels: Document = strawberry.field(description="Labels of the provider.")
    services: list[str] | None
    sub_accounts: list[str] | None
    tags: Document = strawberry.field(description="Tags of the charge.")


@strawberry.type(description="What a period cost day by day, as columns; days without charges are there too.")
class BudgetHistory:
    days: list[date]
    amounts: list[Decimal]
    totals: list[Decimal] = strawberry.field(description="All of the period up to and with each day.")


@strawberry.type(description="How a budget stands in the period that today lies in. Amounts are in its currency.")
class BudgetStanding:
    from_: date = strawberry.field(name="from")
    to: date = strawberry.field(description="The first day that is not part of the period.")
    spent: Decimal = strawberry.field(description="All that was billed so far, days that are not whole included.")
    spent_on_whole_days: Decimal
    remaining: Decimal = strawberry.field(description="Below 0 when more was spent than there was.")
    share: Decimal | None = strawberry.field(description="spent / amount: 1 is all of it.")
    burn_rate: Decimal | None = strawberry.field(description="A day: the average of the last seven whole days.")
    projected: Decimal | None = strawberry.field(
        description="What the period will have cost at its end: its whole days, and the burn rate for the others."
    )
    exhausted_on: date | None = strawberry.field(
        description="The day of the period on which it was, or is projected to be, used up; null: on none."
    )
    complete_through: date | None = strawberry.field(description="The last day on which all its providers are whole.")
    other_currencies: list[Money] = strawberry.field(
        description="What the period cost in other currencies; it is in no other figure."
    )
    providers: int = strawberry.field(description="How many providers the scope has now.")
    history: BudgetHistory = strawberry.field(description="From the first day of the period through today.")


@strawberry.type(description="An amount in a period over a scope, and how it stands.")
class Budget:
    id: strawberry.ID
    namespace: str
    name: str
    amount: Decimal | None = strawberry.field(
        description="This, what follows and standing are null until the spec is found good; conditions say why."
    )
    currency: str | None
    period: BudgetPeriod | None
    metric: Metric | None
    scope: BudgetScope | None
    standing: BudgetStanding | None
    conditions: list[Condition]
    place: str | None = strawberry.field(description="File and line of its manifest; null in a cluster.")


@strawberry.input(description="Every list means any of; several fields mean all of.")
class BudgetFilter:
    namespaces: list[str] | None = None
    names: list[str] | None = None

    def meant(self) -> reading.BudgetFilter:
        return reading.BudgetFilter(
            namespaces=None if self.namespaces is None else texts(self.namespaces, "namespaces"),
            names=None if self.names is None else texts(self.names, "names"),
        )


_METRICS: Final[Mapping[CostMetric, Metric]] = {
    "BilledCost": Metric.BILLED_COST,
    "EffectiveCost": Metric.EFFECTIVE_COST,
}


async def budgets(
    info: Resolving,
    *,
    filter: BudgetFilter | None = None,  # noqa: A002  # the schema's word
    first: int = 50,
    after: str | None = None,
) -> Connection[Budget]:
    chosen = (filter or BudgetFilter()).meant()
    wanted, today = page_size(first), info.context.now.date()
    parts = read_cursor(after, "budgets", (str, str))
    async with info.context.ledger() as connection:
        place = None if parts is None else Name(*parts)
        rows = await reading.budgets(connection, chosen, today, first=wanted + 1, after=place)

    async def count() -> int:
        async with info.context.ledger() as connection:
            return await reading.count_budgets(connection, chosen)

    return connection_of(
        rows,
        wanted,
        after,
        lambda row: _budget(row, today),
        lambda row: write_cursor("budgets", (row.namespace, row.name)),
        count,
    )


async def budget(info: Resolving, *, namespace: str, name: str) -> Budget | None:
    today = info.context.now.date()
    async with info.context.ledger() as connection:
        found = await reading.budget(connection, text(namespace, "namespace"), text(name, "name"), today)
    return None if found is None else _budget(found, today)


def _budget(row: reading.Budget, today: date) -> Budget:
    terms, stood = row.terms, row.stood
    return Budget(
        id=strawberry.ID(write_cursor("Budget", (row.namespace, row.name))),
        namespace=row.namespace,
        name=row.name,
        amount=None if terms is None else terms.amount,
        currency=None if terms is None else terms.currency,
        period=None if terms is None else BudgetPeriod(terms.period),
        metric=None if terms is None else _METRICS[terms.metric],
        scope=None if terms is None else _scope(terms.scope),
        standing=None if stood is None else _standing(stood, today),
        conditions=conditions_of(row.conditions),
        place=row.place,
    )


def _scope(scope: Scope) -> BudgetScope:
    lists = {name: getattr(scope, name) for name in ("providers", "services", "sub_accounts")}
    return BudgetScope(
        **{name: None if held is None else list(held) for name, held in lists.items()},
        labels=Document(dict(scope.labels)),
        tags=Document(dict(scope.tags)),
    )


def _standing(stood: standing.BudgetStanding, today: date) -> BudgetStanding:
    held = stood.standing
    same = ("spent", "spent_on_whole_days", "remaining", "share", "burn_rate", "projected", "exhausted_on")
    return BudgetStanding(
        **{name: getattr(held, name) for name in (*same, "complete_through")},
        from_=held.period.first,
        to=held.period.after_last,
        other_currencies=[Money(amount=amount, currency=currency) for currency, amount in stood.others.items()],
        providers=stood.providers,
        history=_history(stood.days, held.period.first, min(today + timedelta(days=1), held.period.after_last)),
    )


def _history(days: Mapping[date, Decimal], first: date, after_last: date) -> BudgetHistory:
    shown = [first + timedelta(days=number) for number in range((after_last - first).days)]
    amounts = [days.get(day, Decimal(0)) for day in shown]
    with localcontext(EXACT):
        return BudgetHistory(days=shown, amounts=amounts, totals=list(accumulate(amounts)))
