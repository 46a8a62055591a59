"""Fly.io: what machines and volumes cost by what there is, as an estimate (docs/connectors/flyio.md)."""

from reconciler.connectors.flyio.connector import Flyio, FlyioSettings

__all__ = ["Flyio", "FlyioSettings"]
