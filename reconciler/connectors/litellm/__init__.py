"""LiteLLM's proxy: what the calls through it cost by its own price map, by day, team, key, model and provider."""

from reconciler.connectors.litellm.connector import LiteLLM, LiteLLMSettings

__all__ = ["LiteLLM", "LiteLLMSettings"]
