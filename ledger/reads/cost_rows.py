"""The SQL of cost reports: one statement whose rows are the sums per series, bucket and origin."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

from ledger.reads.allocations import Plan
from ledger.reads.filters import BEYOND_ROLLUP, BEYOND_SERVICES, Parameters, where
from ledger.reads.periods import Granularity, Period
from ledger.reads.questions import ByAllocation, ByLabel, ByTag, CostQuestion, Dimension, Grouping
from ledger.schema import CHARGE_COLUMNS, ROLLUP_DIMENSIONS, SERVICE_DIMENSIONS
from ledger.window import midnight

_LABELS: Final = "left join provider l on l.namespace = c.namespace and l.name = c.provider"
_DAY: Final = "(c.charge_period_start at time zone 'UTC')::date"


def cost_rows(question: CostQuestion, parameters: Parameters, plan: Plan | None = None) -> str:
    """The statement that answers the question, by the rules of `plan` where it groups by an allocation.

    Its rows, one per series and origin, have `place` (rank of the series in its currency; null beyond `top`), `key`,
    `currency`, `origin`, `buckets` (with a null for the period compared with), the `amounts` of these, `charges`
    and `unpriced`, and `counted` and `counted_unpriced`: the same, where a charge that was split is in one row only.
    Arrays, because a row for each bucket takes Python several times as long.
    """
    cells = _cells(question, parameters, question.period, plan, compared=False)
    if question.compare_to is not None:
        earlier = question.period.before(question.compare_to)
        cells += " union all " + _cells(question, parameters, earlier, plan, compared=True)
    columns = _COLUMNS + (_COUNTED if plan else _CHARGES)
    if not question.group_by:
        return f"select 1 as place, {columns} from ({cells}) cells group by key, currency, origin"
    top = parameters.add(question.top)
    # Largest first, by what a series costs or did cost before, so that one which vanished is seen as well.
    return f"""
        with {plan.dealt(cells, parameters) if plan else f"cells as materialized ({cells})"},
        ranked as (
            select key, currency, row_number() over (
                partition by currency
                order by greatest(
                    abs(coalesce(sum(amount) filter (where bucket is not null), 0)),
                    abs(coalesce(sum(amount) filter (where bucket is null), 0))
                ) desc, key
            ) as place
            from cells group by key, currency
        ),
        single as (
            select place, {columns} from cells join ranked using (key, currency)
            where place <= {top} group by place, key, currency, origin
        ),
        others as (
            select cast(null as text[]) as key, currency, origin, bucket, sum(amount) as amount,
                sum(charges)::bigint as charges, sum(unpriced)::bigint as unpriced{_BOTH if plan else ""}
            from cells join ranked using (key, currency) where place > {top} group by currency, origin, bucket
        )
        select * from single
        union all
        select null, {columns} from others group by key, currency, origin
    """


_COLUMNS: Final = """
    key, currency, origin, array_agg(bucket) as buckets, array_agg(amount) as amounts,
    coalesce(sum(charges) filter (where bucket is not null), 0)::bigint as charges,
    coalesce(sum(unpriced) filter (where bucket is not null), 0)::bigint as unpriced,
"""
_COUNTED: Final = """
    coalesce(sum(counted) filter (where bucket is not null), 0)::bigint as counted,
    coalesce(sum(counted_unpriced) filter (where bucket is not null), 0)::bigint as counted_unpriced
"""
_CHARGES: Final = _COUNTED.replace("sum(counted_unpriced)", "sum(unpriced)").replace("sum(counted)", "sum(charges)")
_BOTH: Final = ", sum(counted)::bigint as counted, sum(counted_unpriced)::bigint as counted_unpriced"


def rollup(question: CostQuestion, plan: Plan | None = None) -> str | None:
    """The smallest rollup that knows the dimensions asked for; None where only the charges do, as of the past."""
    if question.as_of is not None or (plan is not None and plan.of_charges):
        return None
    asked = question.filter.asked()
    if plan is None and not asked & BEYOND_SERVICES and _known(question, SERVICE_DIMENSIONS):
        return "daily_service_cost"
    return "daily_cost" if not asked & BEYOND_ROLLUP and _known(question, ROLLUP_DIMENSIONS) else None


def _known(question: CostQuestion, dimensions: Collection[str]) -> bool:
    """Whether all that is grouped by is one of these columns of charges, or known of their provider."""
    columns = {group.value for group in question.group_by if isinstance(group, Dimension)}
    by_tag = any(isinstance(group, ByTag) for group in question.group_by)
    return not by_tag and columns <= {"namespace", "provider", *dimensions}


def charges_source(as_of: datetime | None, parameters: Parameters) -> str:
    """What to select charges from, under the alias `c`: those believed now, or those believed at a moment."""
    if as_of is None:
        return "charge c"
    moment = f"cast({parameters.add(as_of)} as timestamptz)"
    columns = ", ".join(CHARGE_COLUMNS)
    return f"""(
        select {columns} from charge where believed_from <= {moment}
        union all
        select {columns} from charge_history where believed_from <= {moment} and believed_to > {moment}
    ) c"""


def within(period: Period, parameters: Parameters, *, rollup: bool = False) -> str:
    """The condition that a row `c` lies in the period: of the rollup by its day, of charges by their start."""
    column, kind = ("c.day", "date") if rollup else ("c.charge_period_start", "timestamptz")
    days = (period.first, period.after_last)
    first, after = (parameters.add(day if rollup else midnight(day)) for day in days)
    return f"{column} >= cast({first} as {kind}) and {column} < cast({after} as {kind})"


def _cells(question: CostQuestion, parameters: Parameters, period: Period, plan: Plan | None, *, compared: bool) -> str:
    summed = rollup(question, plan)
    keys = {f"k{i}": _key(group, parameters) for i, group in enumerate(question.group_by)}
    key = f"array[{', '.join(keys)}]" if keys else "cast(null as text[])"
    if plan is not None:
        keys["given"] = plan.decision(parameters)
    chosen = "".join(f"{expression} as {name}, " for name, expression in keys.items())
    bucket = "cast(null as date)" if compared else _bucket(question, parameters, "c.day" if summed else _DAY)
    labels = any(isinstance(group, ByLabel) for group in question.group_by) or (plan is not None and plan.of_labels)
    joined = _LABELS if labels else ""
    charges, unpriced = ("sum(c.charges)", "sum(c.unpriced)") if summed else ("count(*)", _UNPRICED)
    return f"""
        select {key} as key, {"given, " if plan else ""}currency, bucket, origin, amount, charges, unpriced from (
            select {chosen} c.billing_currency as currency, {bucket} as bucket, c.x_origin as origin,
                coalesce(sum(c.{question.metric.value}), 0) as amount,
                {charges}::bigint as charges, {unpriced}::bigint as unpriced
            from {f"{summed} c" if summed else charges_source(question.as_of, parameters)} {joined}
            where {within(period, parameters, rollup=summed is not None)} and {where(question.filter, parameters, "c")}
            group by {", ".join((*keys, "currency", "bucket", "origin"))}
        ) sums
    """


_UNPRICED: Final = "(count(*) - count(c.billed_cost))"


def _key(group: Grouping, parameters: Parameters) -> str:
    match group:
        case ByTag(key):
            return f"c.tags ->> cast({parameters.add(key)} as text)"
        case ByLabel(key):
            return f"l.labels ->> cast({parameters.add(key)} as text)"
        case ByAllocation():
            return "cast(null as text)"
        case Dimension():
            return f"c.{group.value}"


def _bucket(question: CostQuestion, parameters: Parameters, day: str) -> str:
    first = f"cast({parameters.add(question.period.first)} as date)"
    match question.granularity:
        case Granularity.TOTAL:
            return first
        case Granularity.DAY:
            return day
        case granularity:
            return f"greatest({first}, date_trunc('{granularity.value}', cast({day} as timestamp))::date)"
