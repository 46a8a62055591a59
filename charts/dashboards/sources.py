"""Where the figures of the dashboards come from: Prometheus for now, the ledger's Postgres for history."""

from __future__ import annotations

import re
from typing import Final

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import prometheus
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    VariableModel,
    VariableOption,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

POSTGRES: Final = "grafana-postgresql-datasource"
METRICS: Final = DataSourceRef(type_val="prometheus", uid="${metrics}")
LEDGER: Final = DataSourceRef(type_val=POSTGRES, uid="${ledger}")
EVERYTHING: Final = ".*"
"""What the variables stand for when all is chosen: also what has no figures now, and so is in no list."""
CHOSEN: Final = 'namespace=~"$namespace", provider=~"$provider"'


class LedgerQuery(Dataquery, Builder["LedgerQuery"]):
    """A statement for the ledger. Series have columns `time`, `metric` and `value`; tables are shown as they are."""

    def __init__(self, sql: str, *, series: bool) -> None:
        self.sql, self.series = sql, series

    def build(self) -> LedgerQuery:
        return self

    def to_json(self) -> dict[str, object]:
        """As Grafana's Postgres data source writes it."""
        return {
            "datasource": LEDGER,
            "editorMode": "code",
            "format": "time_series" if self.series else "table",
            "rawQuery": True,
            "rawSql": re.sub(r"\s+", " ", self.sql).strip(),
            "refId": "A",
        }


def series(sql: str) -> LedgerQuery:
    """A statement that gives `time`, `metric` and `value`."""
    return LedgerQuery(sql, series=True)


def rows(sql: str) -> LedgerQuery:
    """A statement whose columns are those of a table."""
    return LedgerQuery(sql, series=False)


def over_time(expression: str, legend: str = "") -> prometheus.Dataquery:
    """A query of Prometheus for the time that is shown."""
    return prometheus.Dataquery().datasource(METRICS).range().expr(expression).legend_format(legend).ref_id("A")


def now(expression: str, legend: str = "", ref: str = "A") -> prometheus.Dataquery:
    """A query of Prometheus for the end of the time that is shown."""
    asked = prometheus.Dataquery().datasource(METRICS).instant().expr(expression).legend_format(legend)
    return asked.ref_id(ref)


def table_of(expression: str, ref: str = "A") -> prometheus.Dataquery:
    """As `now`, as rows with a column for each label."""
    return now(expression, ref=ref).format(PromQueryFormat.TABLE)


def once(metric: str, labels: str, chosen: str = CHOSEN, **others: str) -> str:
    """A metric by these labels alone: each pod of the API tells it, and it counts once. `others` it has to have."""
    matchers = ", ".join([chosen, *(f'{label}="{value}"' for label, value in others.items())])
    return f"max by ({labels}) ({metric}{{{matchers}}})"


def within(column: str, variable: str) -> str:
    """A condition of SQL: the column has one of the variable's values."""
    return f"{column} ~ '^(${{{variable}:regex}})$'"


def variables(*, provider: bool = True, currency: bool = False) -> list[Builder[VariableModel]]:
    """The two data sources, then what the dashboards can be narrowed to."""
    sources = [
        build.DatasourceVariable("metrics").label("Metrics").type("prometheus"),
        build.DatasourceVariable("ledger").label("Ledger").type(POSTGRES),
    ]
    known = "costhook_provider_ready"
    asked = [_any("namespace", f"label_values({known}, namespace)")]
    if provider:
        asked.append(_any("provider", f'label_values({known}{{namespace=~"$namespace"}}, provider)'))
    if currency:
        asked.append(_listed("currency", f"label_values(costhook_spend_month_to_date{{{CHOSEN}}}, currency)"))
    return [*sources, *asked]


def _any(name: str, query: str) -> build.QueryVariable:
    everything = VariableOption(selected=True, text="All", value="$__all")
    return _listed(name, query).multi(True).include_all(True).all_value(EVERYTHING).current(everything)


def _listed(name: str, query: str) -> build.QueryVariable:
    """Asked again whenever the time changes, in alphabetical order."""
    variable = build.QueryVariable(name).label(name.capitalize()).datasource(METRICS).query(query)
    return variable.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.ALPHABETICAL_ASC)
