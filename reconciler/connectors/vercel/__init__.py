"""Vercel: what a team is billed for, by day, project and product (docs/connectors/vercel.md)."""

from reconciler.connectors.vercel.connector import Vercel, VercelSettings

__all__ = ["Vercel", "VercelSettings"]
