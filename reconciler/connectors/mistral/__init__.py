"""Mistral: usage of an Enterprise organisation, priced by the price list in the same answer."""

from reconciler.connectors.mistral.connector import Mistral, MistralSettings

__all__ = ["Mistral", "MistralSettings"]
