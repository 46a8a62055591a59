"""Vendor API use: how often vendors are asked, and what of the call budgets is left."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from charts.dashboards.panels import dashboard, days, figure, lines, listing, ranking
from charts.dashboards.sources import now, once, over_time, rows, series, variables, within

WHOSE: Final = "namespace, provider"
NAMED: Final = "{{namespace}}/{{provider}}"
CALLS: Final = once("costhook_vendor_calls_today", WHOSE)
SHARE: Final = once("costhook_call_budget_used_share", WHOSE)
ASKED: Final = f"""
    from vendor_call c where $__timeFilter(c.day)
        and {within("c.namespace", "namespace")} and {within("c.provider", "provider")}
"""
NEARLY: Final = ((0.8, "orange"), (1.0, "red"))


def build() -> Dashboard:
    """The dashboard."""
    about = "Requests made to vendors' APIs, by UTC day as call budgets count them."
    board = dashboard("calls", "Vendor API use", about, "now-30d", variables())
    for part in (_today, _history):
        board = part(board)
    return board


def _today(board: Dashboard) -> Dashboard:
    return (
        board.with_row(Row("Today"))
        .with_panel(figure("Requests today", now(f"sum({CALLS})")).span(8))
        .with_panel(figure("Call budget most used", now(f"max({SHARE})"), "percentunit", NEARLY).span(8))
        .with_panel(figure("Call budgets spent", now(f"count({SHARE} >= 1) or vector(0)"), steps=[(1, "red")]).span(8))
        .with_panel(ranking("Requests today by provider", now(f"sort_desc({CALLS})", NAMED)))
        .with_panel(ranking("Call budgets used", now(f"sort_desc({SHARE})", NAMED), "percentunit", NEARLY).max(1))
        .with_panel(lines("Requests since midnight, UTC", over_time(CALLS, NAMED)).span(24))
    )


def _history(board: Dashboard) -> Dashboard:
    requests, volume = (
        series(f"""
            select c.day::timestamp at time zone 'UTC' as time, c.namespace || '/' || c.provider as metric,
                c.{column}::float8 as value
            {ASKED} order by 1, 2
        """)
        for column in ("calls", "bytes_read")
    )
    costly = rows(f"""
        with asked as (select c.namespace, c.provider, sum(c.calls) as calls, sum(c.bytes_read) as bytes {ASKED}
            group by 1, 2),
        synced as (
            select namespace, provider, count(*) as syncs, sum(rows_read) as rows from sync_run
            where $__timeFilter(started_at) group by 1, 2
        )
        select a.namespace as "Namespace", a.provider as "Provider", a.calls as "Requests", a.bytes as "Read",
            coalesce(s.syncs, 0) as "Syncs", round(a.calls / nullif(s.syncs, 0), 1) as "Requests a sync",
            coalesce(s.rows, 0) as "Rows"
        from asked a left join synced s using (namespace, provider) order by a.calls desc
    """)
    return (
        board.with_row(Row("Day by day"))
        .with_panel(days("Requests each day", requests))
        .with_panel(days("Read each day", volume, "bytes"))
        .with_panel(listing("What syncs ask", [costly], {"Read": "bytes"}))
    )
