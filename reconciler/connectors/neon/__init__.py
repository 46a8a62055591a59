"""Neon: what an organisation's usage costs by Neon's own formulas (docs/connectors/neon.md)."""

from reconciler.connectors.neon.connector import Neon, NeonSettings

__all__ = ["Neon", "NeonSettings"]
