"""Sync health: who is behind, why, and how the reconciler itself is."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from charts.dashboards.panels import dashboard, days, figure, lines, listing, ranking
from charts.dashboards.sources import now, once, over_time, rows, series, variables, within

WHOSE: Final = "namespace, provider"
NAMED: Final = "{{namespace}}/{{provider}}"
HOUR: Final = 3600
DAY: Final = 24 * HOUR
RUNS: Final = f"""
    from sync_run s where $__timeFilter(s.started_at)
        and {within("s.namespace", "namespace")} and {within("s.provider", "provider")}
"""


def build() -> Dashboard:
    """The dashboard."""
    about = "Whether providers are synced and whole, what fails, and how the reconciler keeps up."
    board = dashboard("syncs", "Sync health", about, "now-24h", variables())
    for part in (_now, _providers, _history, _reconciler):
        board = part(board)
    return board


def _now(board: Dashboard) -> Dashboard:
    ready = once("costhook_provider_ready", WHOSE)
    suspended = once("costhook_provider_suspended", WHOSE)
    failed = f"sum({once('costhook_syncs_last_day', WHOSE, outcome='Failed')}) or vector(0)"
    return (
        board.with_row(Row("Now"))
        .with_panel(figure("Providers", now(f"count({ready})")))
        .with_panel(figure("Not ready", now(f"count({ready} == 0) or vector(0)"), steps=[(1, "red")]))
        .with_panel(figure("Suspended", now(f"sum({suspended})")))
        .with_panel(figure("Failed syncs, 24 hours", now(failed), steps=[(1, "orange")]))
        .with_panel(figure("Syncs asked for, waiting", now("max(costhook_sync_requests_waiting)")))
        .with_panel(figure("The oldest waits", now("max(costhook_sync_requests_oldest_seconds)"), "s"))
    )


def _providers(board: Dashboard) -> Dashboard:
    synced = once("costhook_last_successful_sync_timestamp_seconds", WHOSE)
    whole = once("costhook_complete_through_timestamp_seconds", WHOSE)
    took = once("costhook_last_sync_duration_seconds", WHOSE)
    outcomes = f"sum by (outcome) ({once('costhook_syncs_last_day', f'{WHOSE}, outcome')})"
    restated = f"sum by (currency) ({once('costhook_restated_amount_last_day', f'{WHOSE}, currency')})"
    late = [(DAY, "orange"), (2 * DAY, "red")]
    old = [(2 * DAY, "orange"), (4 * DAY, "red")]
    return (
        board.with_row(Row("Providers"))
        .with_panel(ranking("Since the last sync that succeeded", now(f"time() - {synced}", NAMED), "s", late))
        .with_panel(ranking("Since figures are whole", now(f"time() - {whole}", NAMED), "s", old))
        .with_panel(lines("How long the last sync took", over_time(took, NAMED), "s"))
        .with_panel(lines("Syncs of the last 24 hours", over_time(outcomes, "{{outcome}}")))
        .with_panel(
            lines("Restated by vendors within 24 hours", over_time(restated, "{{currency}}"), "none").description(
                "By how much days changed that had been whole; each currency by itself."
            )
        )
        .with_panel(lines("Charges held", over_time("max(costhook_charges_estimated)", "charges")))
    )


def _history(board: Dashboard) -> Dashboard:
    outcomes = series(f"""
        select date_trunc('day', s.started_at at time zone 'UTC') at time zone 'UTC' as time, s.outcome as metric,
            count(*)::float8 as value
        {RUNS} group by 1, 2 order by 1, 2
    """)
    last = rows(f"""
        select s.started_at as "Begun", s.namespace as "Namespace", s.provider as "Provider", s.trigger as "Trigger",
            s.outcome as "Outcome", s.reason as "Reason", s.error as "Error",
            extract(epoch from s.finished_at - s.started_at)::float8 as "Took", s.rows_read as "Read",
            s.rows_inserted as "Inserted", s.rows_changed as "Changed", s.rows_removed as "Removed"
        {RUNS} order by s.started_at desc, s.id desc limit 100
    """)
    return (
        board.with_row(Row("History"))
        .with_panel(days("Syncs each day", outcomes))
        .with_panel(listing("The last syncs", [last], {"Took": "s"}))
    )


def _reconciler(board: Dashboard) -> Dashboard:
    rate = "[$__rate_interval]"
    looks = f"sum by (outcome) (rate(costhook_reconciles_total{rate}))"
    slow = f"sum by (le, kind) (rate(costhook_reconcile_duration_seconds_bucket{rate}))"
    calls = f"sum by (method, status) (rate(costhook_kubernetes_requests_total{rate}))"
    silent = "time() - max by (kind, watched_namespace) (costhook_watch_begun_timestamp_seconds)"
    memory = "process_resident_memory_bytes and on (job, instance) costhook_reconciler_info"
    return (
        board.with_row(Row("The reconciler"))
        .with_panel(lines("Waiting for a worker", over_time("sum(costhook_queue_depth)", "resources")))
        .with_panel(lines("Being looked at", over_time("sum(costhook_reconciles_in_flight)", "resources")))
        .with_panel(lines("Looks at resources", over_time(looks, "{{outcome}}"), "ops"))
        .with_panel(
            lines(
                "How long nine of ten looks take", over_time(f"histogram_quantile(0.9, {slow})", "{{kind}}"), "s"
            ).description("Syncs included.")
        )
        .with_panel(lines("Requests to the API server", over_time(calls, "{{method}} {{status}}"), "reqps"))
        .with_panel(lines("Since watches were begun", over_time(silent, "{{kind}} {{watched_namespace}}"), "s"))
        .with_panel(lines("Memory", over_time(memory, "{{instance}}"), "bytes"))
        .with_panel(lines("Size of the database", over_time("max(costhook_database_size_bytes)", "database"), "bytes"))
    )
