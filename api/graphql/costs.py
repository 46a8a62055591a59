"""Sums over a period, as columns: types and resolver."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import strawberry

from api.graphql.context import Resolving
from api.graphql.inputs import ChargeFilter, Grouping, Origin, Period, meant
from api.graphql.scalars import BigInt
from ledger.reads import costs as reading
from ledger.reads import questions
from ledger.reads.periods import Comparison, Granularity
from ledger.reads.questions import Metric


@strawberry.type(description="The value of one thing that was grouped by; null for charges without a value.")
class KeyPart:
    by: str = strawberry.field(description="A dimension, or `tag:KEY`, `label:KEY` or `allocation:DIMENSION`.")
    value: str | None


@strawberry.type
class OriginAmount:
    origin: Origin
    amount: Decimal


@strawberry.type(description="The costs of one group in one currency.")
class CostSeries:
    key: list[KeyPart] = strawberry.field(description="What the group is, in the order of groupBy; empty for totals.")
    currency: str
    amounts: list[Decimal] = strawberry.field(description="One for each of the report's buckets.")
    total: Decimal
    share: Decimal | None = strawberry.field(description="Part of the currency's total, usually 0 to 1.")
    previous: Decimal | None = strawberry.field(description="The same over the period compared with.")
    change: Decimal | None = strawberry.field(
        description="total / previous - 1; null when previous is 0 or compareTo was not given."
    )
    origins: list[OriginAmount]
    charges: BigInt = strawberry.field(
        description="How many charges are added up here; one that an Allocation splits counts wherever a part of it is."
    )
    unpriced: BigInt = strawberry.field(description="Those of them that have no billed cost: they are in no sum.")


@strawberry.type
class ProviderCompleteness:
    namespace: str
    provider: str
    complete_through: date | None


@strawberry.type
class CostReport:
    from_: date = strawberry.field(name="from")
    to: date
    metric: Metric
    granularity: Granularity
    as_of: datetime | None
    complete_through: date | None = strawberry.field(
        description="The day through which every provider in this report is whole; null when one has no data yet, and "
        "in reports as of a past moment."
    )
    completeness: list[ProviderCompleteness] = strawberry.field(description="The same, provider by provider.")
    buckets: list[date] = strawberry.field(description="Start of each bucket; amounts of a series line up with it.")
    totals: list[CostSeries] = strawberry.field(description="Everything, per currency.")
    series: list[CostSeries] = strawberry.field(
        description="One per group and currency, those with the largest amounts first."
    )
    others: list[CostSeries] = strawberry.field(description="What top cut off, per currency.")


async def costs(
    info: Resolving,
    *,
    period: Period,
    group_by: list[Grouping] | None = None,
    granularity: Granularity = Granularity.TOTAL,
    metric: Metric = Metric.BILLED_COST,
    filter: ChargeFilter | None = None,  # noqa: A002  # the schema's word
    compare_to: Comparison | None = None,
    as_of: datetime | None = None,
    top: int = 100,
) -> CostReport:
    question = questions.CostQuestion(
        period=period.meant(),
        group_by=tuple(group.meant() for group in group_by or ()),
        granularity=granularity,
        metric=metric,
        filter=meant(filter),
        compare_to=compare_to,
        as_of=as_of,
        top=top,
    )
    async with info.context.ledger() as connection:
        return _report(await reading.costs(connection, question))


def _report(report: reading.CostReport) -> CostReport:
    question = report.question
    by = [_name(group) for group in question.group_by]
    return CostReport(
        from_=question.period.first,
        to=question.period.after_last,
        metric=question.metric,
        granularity=question.granularity,
        as_of=question.as_of,
        complete_through=report.completeness.through,
        completeness=[
            ProviderCompleteness(namespace=whole.namespace, provider=whole.provider, complete_through=whole.through)
            for whole in report.completeness.providers
        ],
        buckets=list(report.buckets),
        totals=[_series(series, []) for series in report.totals],
        series=[_series(series, by) for series in report.series],
        others=[_series(series, []) for series in report.others],
    )


def _series(series: reading.CostSeries, by: list[str]) -> CostSeries:
    return CostSeries(
        key=[KeyPart(by=name, value=value) for name, value in zip(by, series.key, strict=False)],
        currency=series.currency,
        amounts=series.amounts,
        total=series.total,
        share=series.share,
        previous=series.previous,
        change=series.change,
        origins=[OriginAmount(origin=Origin(name), amount=held) for name, held in sorted(series.origins.items())],
        charges=BigInt(series.charges),
        unpriced=BigInt(series.unpriced),
    )


def _name(group: questions.Grouping) -> str:
    match group:
        case questions.ByTag(key):
            return f"tag:{key}"
        case questions.ByLabel(key):
            return f"label:{key}"
        case questions.ByAllocation(dimension):
            return f"allocation:{dimension}"
        case questions.Dimension():
            return group.name
