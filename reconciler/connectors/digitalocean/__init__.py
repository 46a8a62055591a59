"""DigitalOcean: a team's invoices, and estimates until they are made (docs/connectors/digitalocean.md)."""

from reconciler.connectors.digitalocean.connector import DigitalOcean, DigitalOceanSettings

__all__ = ["DigitalOcean", "DigitalOceanSettings"]
