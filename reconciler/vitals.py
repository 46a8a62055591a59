"""What only this process knows of itself, for Prometheus: its queue, its reconciles, its watches, its calls.

Labels are kinds, namespaces that the process was told to serve, HTTP methods and outcomes: their number is bounded by
how the process was started, and no label names a resource. The ledger's figures are the API's to tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from ledger.errors import LedgerError
from ledger.resources import Ref
from reconciler.case import Case, Outcome
from reconciler.deps import Deps
from reconciler.engine import Handler
from reconciler.errors import ReconcilerError
from reconciler.feeding import verdict
from reconciler.queue import WorkQueue
from reconciler.sources.base import Key
from reconciler.status import Verdict

OUTCOMES: Final = ("Ready", "NotReady", "Retrying", "Stalled", "Deferred", "Deleted", "Crashed")
BUCKETS: Final = (0.01, 0.05, 0.25, 1, 5, 30, 120, 600, 1800)
"""Seconds. A sync of years takes minutes, a look at what is not due milliseconds."""
METHODS: Final = ("GET", "PATCH", "POST")

Begun = Callable[[], Mapping[tuple[str, str], float]]


class Vitals:
    """Counts what happens in this process; `registry` holds it all."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._reconciles = Counter(
            "costhook_reconciles", "Looks at resources, by how they ended.", ("kind", "outcome"), registry=self.registry
        )
        self._seconds = Histogram(
            "costhook_reconcile_duration_seconds",
            "How long a look at a resource took, syncs included.",
            ("kind",),
            registry=self.registry,
            buckets=BUCKETS,
        )
        self._calls = Counter(
            "costhook_kubernetes_requests",
            "Requests to the API server, by status; 0 where there was no answer. Watches are not among them.",
            ("method", "status"),
            registry=self.registry,
        )

    def called(self, method: str, status: int) -> None:
        """Count a request to the API server; `status` of 0 means that none came."""
        self._calls.labels(method if method in METHODS else "other", str(status)).inc()

    def watch(self, queue: WorkQueue[Key], begun: Begun) -> None:
        """Tell of a queue, and of watches by kind and namespace, by the time at which each was last begun."""
        self.registry.register(_Standing(queue, begun))

    def counting(self, handlers: Mapping[str, Handler]) -> dict[str, Handler]:
        """The same handlers, each counted."""
        return {kind: self._counted(kind, handler) for kind, handler in handlers.items()}

    def _counted(self, kind: str, handler: Handler) -> Handler:
        for outcome in OUTCOMES:
            self._reconciles.labels(kind, outcome)

        async def reconcile(case: Case, deps: Deps) -> Outcome:
            said = "Crashed"
            with self._seconds.labels(kind).time():
                try:
                    found = await handler.reconcile(case, deps)
                    said = "Deferred" if found.verdict is None else _named(found.verdict)
                except (ReconcilerError, LedgerError) as error:
                    said = _named(verdict(error))
                    raise
                finally:
                    self._reconciles.labels(kind, said).inc()
            return found

        async def leave(ref: Ref, spec: Mapping[str, Any], deps: Deps) -> bool:
            forgotten = await handler.leave(ref, spec, deps)
            self._reconciles.labels(kind, "Deleted").inc()
            return forgotten

        return Handler(reconcile, leave)


class _Standing(Collector):
    """How things stand at the moment of a scrape."""

    def __init__(self, queue: WorkQueue[Key], begun: Begun) -> None:
        self._queue, self._begun = queue, begun

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("costhook_reconciler", "What answers.", {"version": version("costhook")})
        for name, says, value in (
            ("queue_depth", "Resources whose turn has come, and that wait for a worker.", self._queue.waiting),
            ("reconciles_in_flight", "Resources that are being looked at.", self._queue.working),
            ("queue_scheduled", "Resources that come back at a time that is known.", self._queue.later),
        ):
            yield GaugeMetricFamily(f"costhook_{name}", says, value)
        watches = GaugeMetricFamily(
            "costhook_watch_begun_timestamp_seconds",
            "When the watch on a kind was last begun, which is every five minutes; the namespace is empty for all.",
            labels=("kind", "watched_namespace"),
        )
        for (kind, namespace), at in self._begun().items():
            watches.add_metric((kind, namespace), at)
        yield watches


def _named(found: Verdict) -> str:
    if found.ready == "True":
        return "Ready"
    if found.stalled:
        return "Stalled"
    return "Retrying" if found.progressing else "NotReady"
