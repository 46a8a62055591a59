"""Vendors without an API: people enter what a month cost. The guide is docs/connectors/manual.md."""

from reconciler.connectors.manual.connector import Manual, ManualSettings

__all__ = ["Manual", "ManualSettings"]
