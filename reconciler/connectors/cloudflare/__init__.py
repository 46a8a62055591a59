"""Cloudflare: an account's billable usage by day, and its subscriptions (docs/connectors/cloudflare.md)."""

from reconciler.connectors.cloudflare.connector import Cloudflare, CloudflareSettings

__all__ = ["Cloudflare", "CloudflareSettings"]
