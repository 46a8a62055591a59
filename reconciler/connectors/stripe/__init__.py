"""Stripe: what an account pays in fees, transaction by transaction (docs/connectors/stripe.md)."""

from reconciler.connectors.stripe.connector import Stripe, StripeSettings

__all__ = ["Stripe", "StripeSettings"]
