"""FOCUS files: billing data in the FinOps Foundation's format (docs/connectors/focus.md)."""

from reconciler.connectors.focus.connector import Focus, FocusSettings

__all__ = ["Focus", "FocusSettings"]
