"""The shapes that figures are shown in, the same on every dashboard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from grafana_foundation_sdk.builders import barchart, bargauge, common, stat, table, timeseries
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.common import (
    BigValueGraphMode,
    GraphDrawStyle,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    Threshold,
    ThresholdsMode,
    VariableModel,
)

from charts.dashboards.sources import LEDGER, METRICS, LedgerQuery

Query = Builder[Dataquery]
Steps = Sequence[tuple[float, str]]
"""Values from which on a figure has a colour; below the first it is green."""

TAG: Final = "costhook"
MONEY: Final = "none"
"""No unit: the currency stands in the title."""
WIDTH: Final = 24
LAST: Final = common.ReduceDataOptions().calcs(["lastNotNull"])


def dashboard(
    uid: str, title: str, about: str, period: str, variables: list[Builder[VariableModel]]
) -> build.Dashboard:
    """An empty dashboard of Costhook's, in UTC as the ledger is, with links to the others."""
    others = build.DashboardLink("Costhook").type(DashboardLinkType.DASHBOARDS).tags([TAG]).as_dropdown(True)
    begun = build.Dashboard(f"Costhook / {title}").uid(f"{TAG}-{uid}").description(about).tags([TAG]).timezone("utc")
    begun = begun.time(period, "now").refresh("5m").link(others.include_vars(True).keep_time(False))
    return begun.variables(variables)


def figure(title: str, query: Query, unit: str = "short", steps: Steps = ()) -> stat.Panel:
    """One number, or one for each series."""
    panel = stat.Panel().title(title).datasource(source(query)).with_target(query).unit(unit)
    panel = panel.graph_mode(BigValueGraphMode.NONE).reduce_options(LAST).thresholds(thresholds(steps))
    return panel.span(4).height(4)


def ranking(title: str, query: Query, unit: str = "short", steps: Steps = ()) -> bargauge.Panel:
    """A bar for each series, side by side."""
    panel = bargauge.Panel().title(title).datasource(source(query)).with_target(query)
    panel = panel.orientation(VizOrientation.HORIZONTAL).reduce_options(LAST).unit(unit).min(0)
    return panel.thresholds(thresholds(steps)).span(WIDTH // 2).height(8)


def lines(title: str, query: Query, unit: str = "short") -> timeseries.Panel:
    """A line for each series."""
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.TABLE).placement(LegendPlacement.BOTTOM)
    tooltip = common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING)
    panel = timeseries.Panel().title(title).datasource(source(query)).with_target(query).unit(unit)
    panel = panel.legend(legend.show_legend(True).calcs(["lastNotNull", "max"])).tooltip(tooltip)
    return panel.span(WIDTH // 2).height(9)


def days(title: str, query: Query, unit: str = "short") -> timeseries.Panel:
    """A stack for each day, of a block for each series."""
    panel = lines(title, query, unit).draw_style(GraphDrawStyle.BARS).fill_opacity(80).line_width(0)
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.TABLE).placement(LegendPlacement.RIGHT)
    panel = panel.legend(legend.show_legend(True).calcs(["sum"]))
    return panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL).group("A")).span(WIDTH).height(10)


def columns(title: str, query: Query, unit: str = "short") -> barchart.Panel:
    """A column for each row; the first field says what it is."""
    panel = barchart.Panel().title(title).datasource(source(query)).with_target(query).unit(unit)
    return panel.legend(common.VizLegendOptions().show_legend(False)).span(WIDTH // 2).height(9)


def listing(title: str, queries: Sequence[Query], units: dict[str, str] | None = None) -> table.Panel:
    """A table; `units` are those of its columns. Several queries have their rows joined by their labels."""
    panel = table.Panel().title(title).datasource(source(queries[0])).targets(list(queries))
    for column, unit in (units or {}).items():
        panel = panel.override_by_name(column, [DynamicConfigValue("unit", unit)])
    return panel.span(WIDTH).height(9)


def arranged(names: dict[str, str], hidden: Sequence[str]) -> list[DataTransformerConfig]:
    """One table of what several queries gave: columns under these names, and without the hidden ones."""
    options: dict[str, Any] = {"renameByName": names, "excludeByName": dict.fromkeys(hidden, True)}
    options["indexByName"] = {column: place for place, column in enumerate(names)}
    merged = DataTransformerConfig(id_val="merge", options={})
    return [merged, DataTransformerConfig(id_val="organize", options=options)]


def thresholds(steps: Steps) -> build.ThresholdsConfig:
    """Green, then the colour of the last step that is reached."""
    coloured = [Threshold(value=value, color=color) for value, color in steps]
    base = Threshold(value=None, color="green")
    return build.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps([base, *coloured])


def source(query: Query) -> DataSourceRef:
    """Where the query goes."""
    return LEDGER if isinstance(query, LedgerQuery) else METRICS
