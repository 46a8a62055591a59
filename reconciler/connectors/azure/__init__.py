"""Microsoft Azure: what Azure bills, by its Query API or by FOCUS exports (docs/connectors/azure.md)."""

from reconciler.connectors.azure.connector import Azure
from reconciler.connectors.azure.settings import AzureSettings

__all__ = ["Azure", "AzureSettings"]
