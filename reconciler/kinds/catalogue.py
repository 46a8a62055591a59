"""The kinds of resources there are, and how each shows in kubectl."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

from reconciler.kinds.alert import AlertSpec, AlertStatus
from reconciler.kinds.allocation import AllocationSpec, AllocationStatus
from reconciler.kinds.base import Block, Status
from reconciler.kinds.budget import BudgetSpec, BudgetStatus
from reconciler.kinds.channel import ChannelStatus, channel_spec
from reconciler.kinds.manualcost import ManualCostSpec
from reconciler.kinds.provider import AnyConnector, ProviderStatus, provider_spec
from reconciler.kinds.rules import Schema
from reconciler.kinds.structural import structural


class Column(NamedTuple):
    """A column of `kubectl get`; `priority` 1 shows it with `-o wide` only."""

    name: str
    path: str
    type: str = "string"
    priority: int = 0
    says: str = ""


@dataclass(frozen=True)
class Kind:
    """A kind of resource: its models, and the names and columns by which kubectl knows it."""

    name: str
    plural: str
    short_name: str
    says: str
    spec: type[Block]
    status: type[Block]
    columns: tuple[Column, ...]
    selectable: tuple[str, ...] = ()

    @property
    def schema(self) -> Schema:
        """The structural schema of the spec."""
        return structural(self.spec)


LATER: Final = ("Report",)
"""Kinds that the API group reserves and this version does not serve."""

_STANDING: Final = (
    Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
    Column("Reason", '.status.conditions[?(@.type=="Ready")].reason'),
    Column("Month to date", ".status.spend"),
    Column("Complete through", ".status.completeThrough"),
    Column("Last sync", ".status.lastSyncTime", "date"),
    Column("Age", ".metadata.creationTimestamp", "date"),
)
_MESSAGE: Final = Column("Message", '.status.conditions[?(@.type=="Ready")].message', priority=1)


def kinds(connectors: Mapping[str, AnyConnector] | None = None) -> Mapping[str, Kind]:
    """Every kind by name; Providers have a block for each of `connectors`, by default the built-in ones."""
    return _kinds(provider_spec(connectors))


@cache
def _kinds(provider: type[Block]) -> Mapping[str, Kind]:
    return {kind.name: kind for kind in (_provider(provider), *_others())}


def _others() -> tuple[Kind, ...]:
    return _manual_cost(), _budget(), _alert(), _channel(), _allocation()


def _provider(spec: type[Block]) -> Kind:
    return Kind(
        name="Provider",
        plural="providers",
        short_name="cprov",
        says="A vendor account whose billing data is synced.",
        spec=spec,
        status=ProviderStatus,
        columns=(
            Column("Type", ".spec.type"),
            *_STANDING,
            Column("Interval", ".spec.interval", priority=1),
            Column("Suspended", ".spec.suspend", "boolean", priority=1),
            _MESSAGE,
        ),
        selectable=(".spec.type",),
    )


def _manual_cost() -> Kind:
    return Kind(
        name="ManualCost",
        plural="manualcosts",
        short_name="cmanual",
        says="Costs that no API tells, entered once or recurring.",
        spec=ManualCostSpec,
        status=Status,
        columns=(*_STANDING, Column("Currency", ".spec.currency", priority=1), _MESSAGE),
    )


_READY: Final = _STANDING[:2]
_AGE: Final = _STANDING[-1]


def _budget() -> Kind:
    return Kind(
        name="Budget",
        plural="budgets",
        short_name="cbudget",
        says="What a scope may cost in a period.",
        spec=BudgetSpec,
        status=BudgetStatus,
        columns=(
            Column("Amount", ".spec.amount"),
            Column("Currency", ".spec.currency"),
            Column("Period", ".spec.period"),
            Column("Spent", ".status.spent"),
            Column("Used", ".status.used"),
            Column("Projected", ".status.projected"),
            Column("Exhausted on", ".status.exhaustedOn", priority=1),
            Column("Complete through", ".status.completeThrough"),
            _READY[0],
            _AGE,
            _MESSAGE,
        ),
    )


def _alert() -> Kind:
    return Kind(
        name="Alert",
        plural="alerts",
        short_name="calert",
        says="When to tell whom about costs and their data.",
        spec=AlertSpec,
        status=AlertStatus,
        columns=(
            Column("On", ".spec.on"),
            Column("Budget", ".spec.budgetRef.name"),
            Column("State", ".status.state"),
            Column("Firing", ".status.firing"),
            *_READY,
            _AGE,
            _MESSAGE,
        ),
    )


def _channel() -> Kind:
    return Kind(
        name="Channel",
        plural="channels",
        short_name="cchan",
        says="Where messages go.",
        spec=channel_spec(),
        status=ChannelStatus,
        columns=(
            Column("Type", ".spec.type"),
            *_READY,
            Column("Last delivery", ".status.lastDeliveryTime", "date"),
            Column("Delivered", ".status.delivered", "integer"),
            Column("Dead", ".status.dead", "integer"),
            _AGE,
            Column("Suspended", ".spec.suspend", "boolean", priority=1),
            _MESSAGE,
        ),
        selectable=(".spec.type",),
    )


def _allocation() -> Kind:
    return Kind(
        name="Allocation",
        plural="allocations",
        short_name="calloc",
        says="How costs map to teams, products or environments.",
        spec=AllocationSpec,
        status=AllocationStatus,
        columns=(
            Column("Dimension", ".spec.dimension"),
            *_READY,
            _AGE,
            _MESSAGE,
        ),
        selectable=(".spec.dimension",),
    )
