"""Datadog: what an account is billed for, estimated by days until a month is closed (docs/connectors/datadog.md)."""

from reconciler.connectors.datadog.connector import Datadog, DatadogSettings

__all__ = ["Datadog", "DatadogSettings"]
