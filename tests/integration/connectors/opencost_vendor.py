"""OpenCost as a scripted vendor: a cluster's workloads by day, aggregated by what is asked for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from ledger.window import midnight
from reconciler.connectors.scripted import Reply, Request, ScriptedServer

NOW: Final = datetime(2026, 3, 20, 12, 30, tzinfo=UTC)
UNALLOCATED: Final = "__unallocated__"


@dataclass(frozen=True)
class Use:
    """What one workload, or with `idle` a cluster's spare capacity, cost on a day. An amount of None is null."""

    day: date
    cost: Decimal | None
    controller: str | None = "web"
    namespace: str = "shop"
    kind: str | None = "deployment"
    cluster: str = "cluster-one"
    labels: Mapping[str, str] = field(default_factory=dict)
    shared: Decimal = Decimal(0)
    idle: bool = False


@dataclass
class Cluster:
    """What the played OpenCost knows."""

    uses: Sequence[Use] = ()

    def open(self, server: ScriptedServer) -> None:
        server.route("GET", "/allocation", self._allocation)

    def _allocation(self, request: Request) -> Reply:
        try:
            start, end = map(datetime.fromisoformat, (request.first("window") or "").split(","))
        except ValueError:
            # As in the original, which writes its text and goes on to answer.
            text = "Invalid 'window' parameter: illegal window\n" + '{"code":400,"message":"Error: bad window"}'
            return Reply(status=400, body=text.encode())
        by = [part for part in (request.first("aggregate") or "").split(",") if part]
        rows: dict[str, list[Use]] = defaultdict(list)
        for use in self.uses:
            asked = not use.idle or request.first("includeIdle") == "true"
            if asked and start.date() <= use.day and midnight(use.day) < end:
                rows[_key(use, by)].append(use)
        told = {key: _row(key, held, start, end) for key, held in rows.items()}
        return Reply.json({"code": 200, "status": "success", "data": [told]})


def _key(use: Use, by: Sequence[str]) -> str:
    if use.idle:
        return f"{use.cluster}/__idle__"
    controller = use.controller and (f"{use.kind}:{use.controller}" if use.kind else use.controller)
    known = {
        "cluster": use.cluster,
        "namespace": use.namespace,
        "controllerKind": use.kind or UNALLOCATED,
        "controller": controller or UNALLOCATED,
        **{f"label:{name}": value for name, value in use.labels.items()},
    }
    return "/".join(known.get(part, UNALLOCATED) for part in by)


def _row(key: str, uses: Sequence[Use], start: datetime, end: datetime) -> Any:
    costs = [use.cost for use in uses]
    total = None if None in costs else sum((cost for cost in costs if cost is not None), Decimal(0))
    clusters = {use.cluster for use in uses}
    return {
        "name": key,
        "properties": {"cluster": clusters.pop()} if len(clusters) == 1 else {},
        "window": {"start": start.isoformat().replace("+00:00", "Z"), "end": end.isoformat().replace("+00:00", "Z")},
        "start": start.isoformat().replace("+00:00", "Z"),
        "end": end.isoformat().replace("+00:00", "Z"),
        "minutes": 1440,
        "cpuCost": total,
        "gpuCost": 0,
        "ramCost": 0,
        "pvCost": 0,
        "networkCost": 0,
        "loadBalancerCost": 0,
        "sharedCost": sum((use.shared for use in uses), Decimal(0)),
        "externalCost": 0,
        "totalCost": total,
        "totalEfficiency": 0.5,
    }
