"""ElevenLabs: what a workspace's usage costs, or how many credits it takes."""

from reconciler.connectors.elevenlabs.connector import ElevenLabs, ElevenLabsSettings

__all__ = ["ElevenLabs", "ElevenLabsSettings"]
