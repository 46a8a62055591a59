"""OpenCost: what the workloads of a Kubernetes cluster cost by its price list (docs/connectors/opencost.md)."""

from reconciler.connectors.opencost.connector import OpenCost, OpenCostSettings

__all__ = ["OpenCost", "OpenCostSettings"]
