"""Google Cloud: what it bills, by the export of Cloud Billing to BigQuery (docs/connectors/gcp.md)."""

from reconciler.connectors.gcp.connector import Gcp
from reconciler.connectors.gcp.settings import GcpSettings

__all__ = ["Gcp", "GcpSettings"]
