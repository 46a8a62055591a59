"""Twilio: what an account's usage costs, by day and usage category (docs/connectors/twilio.md)."""

from reconciler.connectors.twilio.connector import Twilio, TwilioSettings

__all__ = ["Twilio", "TwilioSettings"]
