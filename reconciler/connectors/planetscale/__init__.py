"""PlanetScale: the lines of an organization's invoices (docs/connectors/planetscale.md)."""

from reconciler.connectors.planetscale.connector import PlanetScale, PlanetScaleSettings

__all__ = ["PlanetScale", "PlanetScaleSettings"]
