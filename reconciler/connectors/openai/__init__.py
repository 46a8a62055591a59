"""OpenAI: what an organisation is billed for, by day. The guide is docs/connectors/openai.md."""

from reconciler.connectors.openai.connector import OpenAI, OpenAISettings

__all__ = ["OpenAI", "OpenAISettings"]
