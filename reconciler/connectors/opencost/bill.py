"""A row of OpenCost's allocations as charges: estimates by its price list.

Keys join what was aggregated by with slashes (github.com/opencost/opencost, core/pkg/opencost/allocationprops.go).
Idle capacity is a row of its own, which may be negative, and shared costs are part of a row's total.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Self

from ledger.charge import Charge
from ledger.money import EXACT, ZERO, amount, plain
from ledger.window import Span
from reconciler.connectors.opencost.report import Allocation
from reconciler.errors import Bug

BY: Final = ("cluster", "namespace", "controllerKind", "controller")
"""What costs are asked for by, before labels. No part but the first can hold a slash."""

IDLE: Final = "__idle__"
NOWHERE: Final = "__unmounted__"
"""The namespace of volumes and load balancers that no pod uses."""
NONE: Final = ("", "__unallocated__")
"""What stands in a key for a value that is not there."""

WORKLOADS: Final = "Kubernetes"
SHARED: Final = "Kubernetes shared"
UNUSED: Final = "Kubernetes unused"
SPARE: Final = "Kubernetes idle"


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the cluster something is; None for what is nowhere in particular."""

    cluster: str | None = None
    namespace: str | None = None
    kind: str | None = None
    controller: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, key: str, labels: Sequence[str]) -> Self:
        """What a key says, of costs by BY and `labels`. Raises Bug where parts are missing."""
        parts = key.rsplit("/", len(BY) + len(labels) - 1)
        if len(parts) != len(BY) + len(labels):
            raise Bug(f"OpenCost answered with {key!r}, which does not tell all of {', '.join((*BY, *labels))}.")
        cluster, namespace, kind, controller, *values = (None if part in NONE else part for part in parts)
        named = controller.removeprefix(f"{kind}:") if controller is not None else None
        found = {name: value for name, value in zip(labels, values, strict=True) if value is not None}
        return cls(cluster, namespace, kind, named, found)


def charges_of(day: Span, key: str, row: Allocation, labels: Sequence[str], currency: str) -> Iterator[Charge]:
    """The row without its share of shared costs, and that share."""
    charge = _charge(day, key, row, labels, currency)
    shared = row.shared or ZERO
    if row.total is None or not shared:
        yield charge._replace(billed_cost=row.total)
    else:
        yield charge._replace(billed_cost=amount(EXACT.subtract(row.total, shared)))
        yield charge._replace(
            billed_cost=shared, service_name=SHARED, charge_description="share of shared costs", extra=None
        )


def _charge(day: Span, key: str, row: Allocation, labels: Sequence[str], currency: str) -> Charge:
    idle = IDLE in key.split("/")
    cluster = row.properties.cluster if row.properties else None
    place = Place(cluster=cluster or None) if idle else Place.of(key, labels)
    unused = place.namespace == NOWHERE
    named = place.controller is not None
    return Charge(
        charge_period_start=day.start,
        charge_period_end=day.end,
        billing_currency=currency,
        billed_cost=None,
        x_origin="estimate",
        service_name=SPARE if idle else UNUSED if unused else WORKLOADS,
        service_provider_name="OpenCost",
        charge_frequency="Usage-Based",
        charge_description=_description(place, idle, unused),
        service_category="Compute",
        sub_account_id=None if unused else place.namespace,
        sub_account_name=None if unused else place.namespace,
        resource_id=f"{place.namespace or ''}/{place.kind or ''}/{place.controller}" if named else None,
        resource_name=place.controller,
        tags=place.labels or None,
        extra=_extra(place, row),
    )


def _description(place: Place, idle: bool, unused: bool) -> str:
    if idle:
        return "capacity of nodes that no pod asked for or used"
    if unused:
        return "volumes and load balancers that no pod uses"
    return f"{place.kind or 'controller'} {place.controller}" if place.controller else "pods without a controller"


def _extra(place: Place, row: Allocation) -> dict[str, object] | None:
    parts = {
        "x_cpu_cost": row.cpu,
        "x_gpu_cost": row.gpu,
        "x_ram_cost": row.ram,
        "x_volume_cost": row.volumes,
        "x_network_cost": row.network,
        "x_load_balancer_cost": row.load_balancers,
    }
    said: dict[str, object] = {name: plain(value) for name, value in parts.items() if value}
    columns = {"x_cluster": place.cluster, "x_controller_kind": place.kind}
    return {**{name: value for name, value in columns.items() if value}, **said} or None
