"""A cluster as a source: kopf lists and watches, `kubernetes.aio` reads and writes."""

from reconciler.sources.kubernetes.access import Access
from reconciler.sources.kubernetes.holding import released
from reconciler.sources.kubernetes.source import KubernetesSource

__all__ = ["Access", "KubernetesSource", "released"]
