"""Budgets and alerts: how budgets stand, what fires, and whether people were told."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from charts.dashboards.panels import arranged, dashboard, days, figure, lines, listing, ranking
from charts.dashboards.sources import now, once, over_time, rows, series, table_of, variables, within

TEAMS: Final = 'namespace=~"$namespace"'
BUDGET: Final = "namespace, budget, currency"
NAMED: Final = "{{namespace}}/{{budget}}"
NEARLY: Final = ((0.7, "yellow"), (0.9, "orange"), (1.0, "red"))
COLUMNS: Final = {
    "namespace": "Namespace",
    "budget": "Budget",
    "currency": "Currency",
    "Value #A": "Amount",
    "Value #B": "Spent",
    "Value #C": "Used",
    "Value #D": "Projected at the end",
}


def build() -> Dashboard:
    """The dashboard."""
    about = "How budgets stand, which alerts fire, and whether messages reach people."
    board = dashboard("alerts", "Budgets and alerts", about, "now-30d", variables(provider=False))
    for part in (_budgets, _alerts, _messages):
        board = part(board)
    return board


def _budgets(board: Dashboard) -> Dashboard:
    amount, spent, used, projected = (
        once(f"costhook_budget_{name}", BUDGET, TEAMS) for name in ("amount", "spent", "used_share", "projected")
    )
    asked = [table_of(each, ref) for each, ref in zip((amount, spent, used, projected), "ABCD", strict=True)]
    return (
        board.with_row(Row("Budgets"))
        .with_panel(
            listing("Budgets in this period", asked, {"Used": "percentunit"}).transformations(
                arranged(COLUMNS, ["Time"])
            )
        )
        .with_panel(ranking("Used", now(f"sort_desc({used})", NAMED), "percentunit", NEARLY).max(1))
        .with_panel(
            ranking(
                "Projected at the end of the period, against the amount",
                now(f"sort_desc({projected} / {amount})", NAMED),
                "percentunit",
                NEARLY,
            ).max(1)
        )
        .with_panel(lines("Used, over time", over_time(used, NAMED), "percentunit").span(24))
    )


def _alerts(board: Dashboard) -> Dashboard:
    labels = "namespace, alert, severity, level"
    firing = once("costhook_alerts_firing", labels, TEAMS)
    turns = f"from alert_transition t where $__timeFilter(t.at) and {within('t.namespace', 'namespace')}"
    each_day = series(f"""
        select date_trunc('day', t.at at time zone 'UTC') at time zone 'UTC' as time, t.to_state as metric,
            count(*)::float8 as value
        {turns} group by 1, 2 order by 1, 2
    """)
    last = rows(f"""
        select t.at as "When", t.namespace as "Namespace", t.alert as "Alert", t.budget as "Budget",
            t.level as "Level", t.severity as "Severity", nullif(t.subject, '') as "Provider",
            t.from_state as "From", t.to_state as "To", t.reason as "Reason"
        {turns} order by t.at desc, t.id desc limit 100
    """)
    board = board.with_row(Row("Alerts"))
    for severity, colour in (("critical", "red"), ("warning", "orange"), ("info", "blue")):
        grave = once("costhook_alerts_firing", labels, TEAMS, severity=severity)
        count = now(f"sum({grave}) or vector(0)")
        board = board.with_panel(figure(f"Firing, {severity}", count, steps=[(1, colour)]).span(8))
    return (
        board.with_panel(
            lines("Firing, over time", over_time(f"sum by (severity) ({firing})", "{{severity}}")).span(24)
        )
        .with_panel(days("Turns each day", each_day))
        .with_panel(listing("The last turns", [last]))
    )


def _messages(board: Dashboard) -> Dashboard:
    waiting, dead, oldest = (
        once(f"costhook_notifications_{name}", "namespace, channel", TEAMS)
        for name in ("waiting", "dead", "oldest_waiting_seconds")
    )
    told = f"from notification n where {within('n.namespace', 'namespace')}"
    each_day = series(f"""
        select date_trunc('day', n.created_at at time zone 'UTC') at time zone 'UTC' as time,
            n.channel || ' ' || lower(n.state) as metric, count(*)::float8 as value
        {told} and $__timeFilter(n.created_at) group by 1, 2 order by 1, 2
    """)
    given_up = rows(f"""
        select n.created_at as "Made", n.finished_at as "Given up", n.namespace as "Namespace", n.channel as "Channel",
            n.alert as "Alert", n.what as "What", n.severity as "Severity", n.attempts as "Attempts", n.error as "Error"
        {told} and n.state = 'Dead' order by n.created_at desc, n.id desc limit 100
    """)
    return (
        board.with_row(Row("Messages"))
        .with_panel(figure("Waiting", now(f"sum({waiting})")).span(8))
        .with_panel(figure("The oldest waits", now(f"max({oldest})"), "s", [(3600, "orange")]).span(8))
        .with_panel(figure("Given up", now(f"sum({dead})"), steps=[(1, "red")]).span(8))
        .with_panel(days("Messages each day", each_day))
        .with_panel(listing("Messages that were given up", [given_up]))
    )
