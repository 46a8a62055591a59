"""A played Railway: a GraphQL API that answers what was used between two moments, and knows no days."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from typing import Any, Final

from graphql import build_schema, parse, validate

from reconciler.connectors.scripted import Reply, Request, ScriptedServer

KEY: Final = "01234567-89ab-cdef-0123-456789abcdef"
WORKSPACE: Final = "11111111-2222-3333-4444-555555555555"
PATH: Final = "/graphql/v2"
DAY: Final = timedelta(days=1)


SCHEMA: Final = build_schema("""
scalar DateTime
enum MetricMeasurement { CPU_USAGE MEMORY_USAGE_GB DISK_USAGE_GB BACKUP_USAGE_GB NETWORK_TX_GB NETWORK_RX_GB }
enum MetricTag { PROJECT_ID SERVICE_ID ENVIRONMENT_ID REGION VOLUME_ID HOST_TYPE }
enum Plan { FREE HOBBY PRO }
type MetricTags { projectId: String serviceId: String environmentId: String region: String volumeId: String }
type AggregatedUsage { measurement: MetricMeasurement! value: Float! tags: MetricTags! }
type BillingPeriod { start: DateTime! end: DateTime! }
type CustomerInvoice {
  invoiceId: String! status: String total: Int! amountDue: Float! amountPaid: Float!
  periodStart: String! periodEnd: String!
}
type Customer { id: ID! currentUsage: Float! billingPeriod: BillingPeriod! invoices: [CustomerInvoice!]! }
type Workspace { id: ID! name: String! plan: Plan! customer: Customer! }
type Service { id: ID! name: String! deletedAt: DateTime }
type ServiceEdge { node: Service! }
type Services { edges: [ServiceEdge!]! }
type Environment { id: ID! name: String! deletedAt: DateTime }
type EnvironmentEdge { node: Environment! }
type Environments { edges: [EnvironmentEdge!]! }
type Project { id: ID! name: String! deletedAt: DateTime services: Services! environments: Environments! }
type ProjectEdge { node: Project! }
type Projects { edges: [ProjectEdge!]! }
type Query {
  workspace(workspaceId: String!): Workspace!
  projects(first: Int, includeDeleted: Boolean, workspaceId: String): Projects!
  usage(
    workspaceId: String projectId: String measurements: [MetricMeasurement!]! groupBy: [MetricTag!]
    startDate: DateTime endDate: DateTime includeDeleted: Boolean
  ): [AggregatedUsage!]!
}
""")
"""The part of Railway's schema, as it is published with its command line, that is asked about."""


@dataclass(frozen=True)
class Used:
    """What a service used of a measure on a day."""

    day: date
    value: object
    measure: str = "NETWORK_TX_GB"
    project: str | None = "one"
    service: str | None = "web"


def period(start: date, end: date) -> dict[str, str]:
    return {"start": f"{start}T00:00:00.000Z", "end": f"{end}T00:00:00.000Z"}


def invoice(identity: str, total: int, start: date, end: date, status: str = "paid") -> dict[str, Any]:
    moments = {"periodStart": f"{start}T00:00:00.000Z", "periodEnd": f"{end}T00:00:00.000Z"}
    return {"invoiceId": identity, "status": status, "total": total, "amountDue": 31.5, **moments}


@dataclass
class Vendor:
    """A workspace. `names` are those of its projects and services by id; a deleted service may have none.

    `instead` is what is answered to the question of a name in place of the truth.
    """

    used: Sequence[Used] = ()
    plan: str | None = None
    billing: Mapping[str, str] | None = field(
        default_factory=lambda: period(date(2026, 3, 5), date(2026, 4, 5)),
    )
    invoices: Sequence[Mapping[str, Any]] = ()
    instead: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[str, str | None] = field(default_factory=lambda: {"one": "Shop", "web": "api", "env": "production"})
    asked: list[Any] = field(default_factory=list)

    def open(self, server: ScriptedServer) -> None:
        server.route("POST", PATH, self.answer)

    def answer(self, request: Request) -> Reply:
        """As Railway: a token that is refused is HTTP 200 with an error, as is a workspace of others."""
        asked = request.json()
        self.asked.append(asked)
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return errors("Not Authorized")
        if asked["variables"]["workspace"] != WORKSPACE:
            return errors("Not Authorized")
        if faults := _faults(asked["query"]):
            return Reply.json({"errors": [{"message": fault} for fault in faults]}, 400)
        headers = {"X-RateLimit-Limit": "1000", "X-RateLimit-Remaining": "999", "X-RateLimit-Reset": "2026-03-20"}
        return Reply.json({"data": self._data(asked)}, headers=headers)

    def _data(self, asked: Mapping[str, Any]) -> Any:
        name = re.findall(r"query (\w+)", asked["query"])[0]
        if name in self.instead:
            return self.instead[name]
        match name:
            case "Workspace":
                customer = {"billingPeriod": self.billing}
                return {"workspace": {"id": WORKSPACE, "name": "Acme", "plan": self.plan, "customer": customer}}
            case "Invoices":
                return {"workspace": {"customer": {"invoices": self.invoices}}}
            case "Names":
                return {"projects": {"edges": [{"node": self._project()}]}}
        days = re.findall(r"day(\d+): usage\(", asked["query"])
        assert "groupBy: [PROJECT_ID, SERVICE_ID, ENVIRONMENT_ID, REGION]" in asked["query"]
        assert "includeDeleted: true" in asked["query"]
        return {f"day{number}": self._between(asked["variables"], number) for number in days}

    def _between(self, variables: Mapping[str, Any], number: str) -> list[Mapping[str, Any]]:
        start, end = variables[f"start{number}"], variables[f"end{number}"]
        assert start < end
        return [
            {
                "measurement": each.measure,
                "value": each.value,
                "tags": {
                    "projectId": each.project,
                    "serviceId": each.service,
                    "environmentId": "env",
                    "region": "us-west2",
                },
            }
            for each in self.used
            if start <= f"{each.day}T00:00:00.000Z" < end and each.measure in variables["measures"]
        ]

    def _project(self) -> Mapping[str, Any]:
        nodes = {key: {"node": {"id": key, "name": name}} for key, name in self.names.items() if key != "one"}
        environments = {"edges": [nodes.pop("env")] if "env" in nodes else []}
        services = {"edges": list(nodes.values())}
        return {"id": "one", "name": self.names.get("one"), "services": services, "environments": environments}


@cache
def _faults(query: str) -> Sequence[str]:
    """What is wrong with a query; the same ones come again and again, and take long to judge."""
    return [str(fault) for fault in validate(SCHEMA, parse(query))]


def errors(message: str) -> Reply:
    """A failure as GraphQL tells it; the code is the same for a refused token and for a passing fault."""
    error = {"message": message, "path": ["usage"], "extensions": {"code": "INTERNAL_SERVER_ERROR"}, "traceId": "1"}
    return Reply.json({"errors": [error], "data": None})
