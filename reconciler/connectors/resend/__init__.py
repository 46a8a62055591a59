"""Resend: what a team's emails cost beyond its plan, as an estimate (docs/connectors/resend.md)."""

from reconciler.connectors.resend.connector import Resend, ResendSettings

__all__ = ["Resend", "ResendSettings"]
