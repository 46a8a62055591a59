"""Railway: a workspace's usage by its prices, less what the plan includes (docs/connectors/railway.md)."""

from reconciler.connectors.railway.connector import Railway, RailwaySettings

__all__ = ["Railway", "RailwaySettings"]
