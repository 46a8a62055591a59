"""What Railway's GraphQL API answers: shapes, checked.

Source: the introspected schema in github.com/railwayapp/cli. Quantities are floats: minutes of a vCPU or of a GB, and
GB of egress. An invoice's amounts are in a unit that is documented nowhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field

from ledger.window import DAY
from reconciler.connectors.reading import Answer, Number

Text = Annotated[str | None, BeforeValidator(lambda value: value or None)]
Moment = Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]
Measure = Literal["CPU_USAGE", "MEMORY_USAGE_GB", "DISK_USAGE_GB", "BACKUP_USAGE_GB", "NETWORK_TX_GB"]


class Envelope(Answer):
    """What surrounds every answer. With `errors`, `data` may be null or lack parts."""

    data: Any = None
    errors: tuple[Mapping[str, Any], ...] | None = None


class Period(Answer):
    start: Moment
    end: Moment


class Customer(Answer):
    billing_period: Period | None = Field(default=None, alias="billingPeriod")


class Workspace(Answer):
    """A workspace, its plan (FREE, HOBBY, PRO, ...) and its current billing period."""

    id: Text = None
    name: Text = None
    plan: Text = None
    customer: Customer | None = None


class WorkspaceAnswer(Answer):
    workspace: Workspace | None


class Invoice(Answer):
    """An invoice; whether `total` is in dollars or in cents is documented nowhere."""

    invoice_id: Text = Field(default=None, alias="invoiceId")
    status: Text = None
    total: Number
    amount_due: Number | None = Field(default=None, alias="amountDue")
    period_start: Moment = Field(alias="periodStart")
    period_end: Moment = Field(alias="periodEnd")

    @property
    def is_of_a_period(self) -> bool:
        """Whether it bills a period, and not the moment at which a plan began."""
        return self.period_end - self.period_start >= DAY


class Billed(Answer):
    invoices: tuple[Invoice, ...]


class Payer(Answer):
    customer: Billed | None = None


class InvoicesAnswer(Answer):
    workspace: Payer | None


class Tags(Answer):
    """What usage belongs to; usage without a service is a project's own."""

    project_id: Text = Field(default=None, alias="projectId")
    service_id: Text = Field(default=None, alias="serviceId")
    environment_id: Text = Field(default=None, alias="environmentId")
    region: Text = None


class Used(Answer):
    """How much of one measure a service used in the stretch asked for."""

    measurement: Measure
    value: Number
    tags: Tags


class Days(Answer):
    """The answers to one question for several days, by their names in it."""

    days: dict[str, Sequence[Used]]


class Named(Answer):
    id: str
    name: Text = None


class Edge(Answer):
    node: Named


class Edges(Answer):
    edges: tuple[Edge, ...] = ()


class Project(Named):
    services: Edges | None = None
    environments: Edges | None = None

    def everything(self) -> Iterator[Named]:
        """The project, its services and its environments."""
        yield self
        for edges in (self.services, self.environments):
            yield from (edge.node for edge in (edges.edges if edges else ()))


class ProjectEdge(Answer):
    node: Project


class ProjectEdges(Answer):
    edges: tuple[ProjectEdge, ...]


class NamesAnswer(Answer):
    """Names of projects, services and environments, deleted ones among them where they still have one."""

    projects: ProjectEdges

    def names(self) -> Iterator[tuple[str, str]]:
        for edge in self.projects.edges:
            yield from ((each.id, each.name) for each in edge.node.everything() if each.name)
