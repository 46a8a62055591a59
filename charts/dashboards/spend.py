"""Spend overview: what is spent now, by whom and on what, day by day and month on month."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row
from grafana_foundation_sdk.models.common import VizOrientation

from charts.dashboards.panels import MONEY, columns, dashboard, days, figure, listing, ranking
from charts.dashboards.sources import CHOSEN, now, once, rows, series, variables, within

LABELS: Final = "namespace, provider, service, currency"
CURRENCY: Final = f'{CHOSEN}, currency="$currency"'
MONTH: Final = once("costhook_spend_month_to_date", LABELS, CURRENCY)
SPENT: Final = f"""
    from daily_cost d join provider p on p.namespace = d.namespace and p.name = d.provider
    where not p.attribution_only and d.billing_currency = ${{currency:sqlstring}}
        and {within("d.namespace", "namespace")} and {within("d.provider", "provider")}
"""
"""Charges in the one currency that is chosen, without those that only attribute what other providers bill."""
LAST: Final = "(($__timeTo())::timestamptz at time zone 'UTC')"
SHOWN_SERVICES: Final = 12


def build() -> Dashboard:
    """The dashboard."""
    about = "What is spent, in one currency at a time. Current figures are Prometheus', history is the ledger's."
    board = dashboard("spend", "Spend overview", about, "now-90d", variables(currency=True))
    for part in (_now, _parts, _days, _months):
        board = part(board)
    return board


def _now(board: Dashboard) -> Dashboard:
    last_day = once("costhook_spend_last_complete_day", LABELS, CURRENCY)
    unpriced = f"sum({once('costhook_unpriced_charges', LABELS)})"
    whole = f"min({once('costhook_complete_through_timestamp_seconds', 'namespace, provider')}) * 1000"
    every = f"sum by (currency) ({once('costhook_spend_month_to_date', LABELS)})"
    return (
        board.with_row(Row("This month"))
        .with_panel(figure("This month so far, $currency", now(f"sum({MONTH})"), MONEY).decimals(2).span(6))
        .with_panel(figure("Last whole days, $currency", now(f"sum({last_day})"), MONEY).decimals(2).span(5))
        .with_panel(
            figure("Every currency, this month", now(every, "{{currency}}"), MONEY)
            .decimals(2)
            .span(6)
            .orientation(VizOrientation.HORIZONTAL)
        )
        .with_panel(
            figure("Lines without a price", now(unpriced), "short", [(1, "orange")]).description(
                "Lines of this month whose cost nobody stated; they are in no amount here."
            )
        )
        .with_panel(
            figure("Whole until", now(whole), "dateTimeFromNow")
            .description("All chosen providers' figures are whole before this moment.")
            .span(3)
        )
    )


def _parts(board: Dashboard) -> Dashboard:
    providers = f"sort_desc(sum by (namespace, provider) ({MONTH}))"
    services = f"topk({SHOWN_SERVICES}, sum by (service) ({MONTH}))"
    return (
        board.with_row(Row("Where it goes"))
        .with_panel(ranking("This month by provider, $currency", now(providers, "{{namespace}}/{{provider}}"), MONEY))
        .with_panel(ranking("This month by service, $currency", now(services, "{{service}}"), MONEY))
    )


def _days(board: Dashboard) -> Dashboard:
    providers = series(f"""
        select d.day::timestamp at time zone 'UTC' as time, d.namespace || '/' || d.provider as metric,
            sum(d.billed_cost) as value
        {SPENT} and $__timeFilter(d.day) group by 1, 2 order by 1, 2
    """)
    services = series(f"""
        with spent as (
            select d.day, d.service_name, sum(d.billed_cost) as cost {SPENT} and $__timeFilter(d.day) group by 1, 2
        ), ranked as (
            select service_name, row_number() over (order by sum(abs(cost)) desc, service_name) as place
            from spent group by 1
        )
        select day::timestamp at time zone 'UTC' as time,
            case when place <= {SHOWN_SERVICES} then service_name else 'other' end as metric, sum(cost) as value
        from spent join ranked using (service_name) group by 1, 2 order by 1, 2
    """)
    return (
        board.with_row(Row("Day by day"))
        .with_panel(days("Each day by provider, $currency", providers, MONEY))
        .with_panel(days("Each day by service, $currency", services, MONEY))
    )


def _months(board: Dashboard) -> Dashboard:
    months = rows(f"""
        select to_char(d.day, 'YYYY-MM') as "Month", sum(d.billed_cost) as "Cost"
        {SPENT} and d.day >= date_trunc('month', {LAST}) - interval '12 months' and d.day <= {LAST}
        group by 1 order by 1
    """)
    beside = rows(f"""
        with spent as (
            select d.namespace || '/' || d.provider as provider,
                sum(d.billed_cost) filter (where d.day >= date_trunc('month', {LAST})) as this,
                sum(d.billed_cost) filter (where d.day < date_trunc('month', {LAST})
                    and d.day <= {LAST} - interval '1 month') as same,
                sum(d.billed_cost) filter (where d.day < date_trunc('month', {LAST})) as before
            {SPENT} and d.day >= date_trunc('month', {LAST}) - interval '1 month' and d.day <= {LAST} group by 1
        )
        select provider as "Provider", coalesce(this, 0) as "This month so far",
            coalesce(same, 0) as "Same days of the month before",
            round(100 * (coalesce(this, 0) / nullif(same, 0) - 1), 1) as "Change",
            coalesce(before, 0) as "The whole month before"
        from spent order by coalesce(this, 0) desc
    """)
    return (
        board.with_row(Row("Month on month"))
        .with_panel(columns("Months, $currency", months, MONEY))
        .with_panel(listing("Against the month before, $currency", [beside], {"Change": "percent"}).span(12))
    )
