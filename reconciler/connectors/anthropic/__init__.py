"""Anthropic: what an organization of the Claude Console is billed for, by day (docs/connectors/anthropic.md)."""

from reconciler.connectors.anthropic.connector import Anthropic, AnthropicSettings

__all__ = ["Anthropic", "AnthropicSettings"]
