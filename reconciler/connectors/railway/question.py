"""What Railway's GraphQL API is asked, much as its official command line asks it.

Source: github.com/railwayapp/cli, usage.rs and the schema beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ledger.window import Span

MEASURES: Final = ("CPU_USAGE", "MEMORY_USAGE_GB", "DISK_USAGE_GB", "BACKUP_USAGE_GB", "NETWORK_TX_GB")

WORKSPACE: Final = """
query Workspace($workspace: String!) {
  workspace(workspaceId: $workspace) {
    id
    name
    plan
    customer { billingPeriod { start end } }
  }
}"""
INVOICES: Final = """
query Invoices($workspace: String!) {
  workspace(workspaceId: $workspace) {
    customer { invoices { invoiceId status total amountDue periodStart periodEnd } }
  }
}"""
NAMES: Final = """
query Names($workspace: String!) {
  projects(first: 5000, includeDeleted: true, workspaceId: $workspace) {
    edges {
      node { id name services { edges { node { id name } } } environments { edges { node { id name } } } }
    }
  }
}"""
DAY: Final = """
  day{0}: usage(
    workspaceId: $workspace, measurements: $measures, groupBy: [PROJECT_ID, SERVICE_ID, ENVIRONMENT_ID, REGION],
    startDate: $start{0}, endDate: $end{0}, includeDeleted: true
  ) {{ measurement value tags {{ projectId serviceId environmentId region }} }}"""


def usage(workspace: str, days: Sequence[Span]) -> tuple[str, dict[str, Any]]:
    """The question for what was used in each of `days`, and its variables; the answers are day0, day1, ..."""
    numbers = range(len(days))
    declared = " ".join(f"$start{number}: DateTime! $end{number}: DateTime!" for number in numbers)
    parts = "".join(DAY.format(number) for number in numbers)
    text = f"query Usage($workspace: String! $measures: [MetricMeasurement!]! {declared}) {{{parts}\n}}"
    variables: dict[str, Any] = {"workspace": workspace, "measures": list(MEASURES)}
    for number, day in enumerate(days):
        variables |= {f"start{number}": _moment(day.start), f"end{number}": _moment(day.end)}
    return text, variables


def _moment(moment: Any) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S.000Z}"
