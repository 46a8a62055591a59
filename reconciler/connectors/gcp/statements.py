"""The statements that BigQuery is asked, over the columns that a table has.

Columns: docs.cloud.google.com/billing/docs/how-to/export-data-bigquery-tables. Google adds some over time, and views
may lack some. A row has a cost and a list of credits, of which each counts for itself: it is read once for its cost and
once for each credit, so that nothing is counted twice and the table is read a single time. Google's own queries cast
costs, which are doubles, to NUMERIC as well: nine decimals for each row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from ledger.window import DAY, Span
from reconciler.connectors.gcp.report import Column, Partitioning

LAG: Final[Mapping[str, timedelta]] = {"HOUR": DAY, "DAY": DAY, "MONTH": 32 * DAY, "YEAR": 367 * DAY}
"""How long before its rows' times a partition by the time of loading can begin."""
CREDIT: Final = "credits[SAFE_ORDINAL(part)]"
PARTS: Final = "UNNEST(GENERATE_ARRAY(0, IFNULL(ARRAY_LENGTH(credits), 0))) AS part"
"""A row's cost is its part 0, its credits are the parts after it."""
NEEDED: Final = ("billing_account_id", "cost", "cost_type", "credits", "currency", "export_time", "invoice.month")
"""Columns without which a table is no export; the times are looked for as well."""


@dataclass(frozen=True, slots=True)
class Names:
    """What the columns are called that both forms of export have."""

    start: str
    exported: str
    account: str


GOOGLE: Final = Names("usage_start_time", "export_time", "billing_account_id")
FOCUS: Final = Names("ChargePeriodStart", "x_ExportTime", "BillingAccountId")


class Dimension(NamedTuple):
    """A column of the answer by which costs are told apart. It is there if the table has the column `needs`."""

    name: str
    needs: str
    sql: str


def _plain(**paths: str) -> tuple[Dimension, ...]:
    return tuple(Dimension(name, path, path) for name, path in paths.items())


def _json(*paths: str) -> tuple[Dimension, ...]:
    return tuple(Dimension(path.replace(".", "_"), path, f"TO_JSON_STRING({path})") for path in paths)


DIMENSIONS: Final = (
    Dimension("day", "usage_start_time", "DATE(usage_start_time)"),
    *(
        Dimension(f"credit_{name}", "credits", f"IF(part = 0, NULL, {CREDIT}.{name})")
        for name in ("type", "name", "id")
    ),
    Dimension("is_credit", "credits", "part > 0"),
    *_plain(
        invoice_month="invoice.month",
        cost_type="cost_type",
        currency="currency",
        billing_account_id="billing_account_id",
        project_id="project.id",
        project_name="project.name",
        service_id="service.id",
        service="service.description",
        sku_id="sku.id",
        sku="sku.description",
        location="location.location",
        region="location.region",
        zone="location.zone",
        usage_unit="usage.unit",
        pricing_unit="usage.pricing_unit",
        adjustment_id="adjustment_info.id",
        adjustment_mode="adjustment_info.mode",
        adjustment_type="adjustment_info.type",
        adjustment_description="adjustment_info.description",
        transaction_type="transaction_type",
        seller_name="seller_name",
        consumption_model="consumption_model.description",
        subscription="subscription.instance_id",
    ),
    Dimension("rate", "currency_conversion_rate", "CAST(currency_conversion_rate AS NUMERIC)"),
    *_json("labels", "system_labels", "tags", "project.labels"),
)
BY_RESOURCE: Final = _plain(resource_id="resource.global_name", resource_name="resource.name")

MEASURES: Final[Mapping[str, str]] = {
    "usage_amount": "usage.amount",
    "pricing_amount": "usage.amount_in_pricing_units",
    "list_cost": "cost_at_list",
    "contracted_cost": "cost_at_effective_price_default",
}
"""What is added up of a row's cost, and not of its credits; `cost` is there of all."""


class Parameter(NamedTuple):
    """A value that a statement names."""

    type: str
    value: str


@dataclass(frozen=True)
class Statement:
    """A statement of standard SQL and its parameters by name."""

    sql: str
    parameters: Mapping[str, Parameter]


@dataclass(frozen=True)
class Source:
    """A table or view, and which of its rows count: all, or those of one billing account."""

    table: str
    names: Names
    columns: Sequence[Column]
    partitioning: Partitioning | None = None
    account: str | None = None
    paths: frozenset[str] = field(init=False)
    """The names of all columns, those within records behind the record's and a point."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "paths", frozenset(_paths(self.columns)))

    @property
    def is_pruned(self) -> bool:
        """Whether the time at which rows were loaded decides which parts of the table are read."""
        return self.partitioning is not None and self.partitioning.field is None

    @property
    def missing(self) -> list[str]:
        """Columns that the table would have if it were the export that it is said to be."""
        of_kind = NEEDED if self.names is GOOGLE else ("ChargePeriodEnd", "BilledCost", "BillingCurrency")
        return sorted({self.names.start, self.names.exported, *of_kind} - self.paths)

    def changes(self, since: datetime, from_day: datetime) -> Statement:
        """How many rows of each day from `from_day` on were exported in each hour from `since` on."""
        exported, start = self.names.exported, self.names.start
        columns = [f"DATE({start}) AS day", f"TIMESTAMP_TRUNC({exported}, HOUR) AS hour"]
        columns += [f"MAX({exported}) AS seen", "COUNT(*) AS found"]
        wanted = [f"{exported} >= @since", f"{start} >= @from_day"]
        moments = {"since": since, "from_day": from_day}
        return self._statement(columns, "", wanted, moments, since, " GROUP BY day, hour")

    def costs(self, span: Span, *, by_resource: bool) -> Statement:
        """The costs and credits of the days of `span`, by all that tells them apart."""
        dimensions = list(self._dimensions(by_resource))
        columns = [f"{each.sql} AS {each.name}" for each in dimensions]
        columns.append(f"SUM(CAST(IF(part = 0, cost, {CREDIT}.amount) AS NUMERIC)) AS cost")
        columns += [
            f"SUM(IF(part = 0, CAST({path} AS NUMERIC), NULL)) AS {name}"
            for name, path in MEASURES.items()
            if path in self.paths
        ]
        grouped = ", ".join(str(number) for number in range(1, len(dimensions) + 1))
        return self._of_days(span, columns, f", {PARTS}", f" GROUP BY {grouped}")

    def lines(self, span: Span) -> Statement:
        """Every line of a FOCUS table that starts in `span`, with all columns."""
        return self._of_days(span, ["*"], "", "")

    def _dimensions(self, by_resource: bool) -> Iterator[Dimension]:
        every = (*DIMENSIONS, *BY_RESOURCE) if by_resource else DIMENSIONS
        return (each for each in every if each.needs in self.paths)

    def _of_days(self, span: Span, columns: Sequence[str], joined: str, grouped: str) -> Statement:
        wanted = [f"{self.names.start} >= @start", f"{self.names.start} < @until"]
        moments = {"start": span.start, "until": span.end}
        return self._statement(columns, joined, wanted, moments, span.start, grouped)

    def _statement(
        self,
        columns: Sequence[str],
        joined: str,
        wanted: Sequence[str],
        moments: Mapping[str, datetime],
        first: datetime,
        grouped: str,
    ) -> Statement:
        """Rows that were loaded before `first` hold nothing of what is asked for."""
        parameters = {name: _moment(moment) for name, moment in moments.items()}
        if self.account is not None:
            wanted = [*wanted, f"{self.names.account} = @account"]
            parameters["account"] = Parameter("STRING", self.account)
        if self.is_pruned and self.partitioning is not None:
            # What has just been streamed in is in no partition yet.
            wanted = [*wanted, "(_PARTITIONTIME >= @loaded OR _PARTITIONTIME IS NULL)"]
            parameters["loaded"] = _moment(first - LAG.get(self.partitioning.type, 367 * DAY))
        # The names are the table's own, the table is what settings let through, and all values are parameters.
        asked = f"SELECT {', '.join(columns)} FROM `{self.table}`{joined}"  # noqa: S608 - as said
        return Statement(f"{asked} WHERE {' AND '.join(wanted)}{grouped}", parameters)


def _moment(moment: datetime) -> Parameter:
    return Parameter("TIMESTAMP", f"{moment:%Y-%m-%d %H:%M:%S.%f}+00:00")


def _paths(columns: Sequence[Column], within: str = "") -> Iterator[str]:
    for column in columns:
        yield f"{within}{column.name}"
        yield from _paths(column.fields, f"{within}{column.name}.")
