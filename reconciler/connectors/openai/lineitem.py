"""What the line items of OpenAI's bill say: model, token type, modality, and what stands around them.

OpenAI publishes no grammar for the text; the shapes are those seen in real accounts and in its own examples.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

TOKEN_TYPES: Final = {
    **dict.fromkeys(("input", "uncached input", "input uncached"), "input"),
    **dict.fromkeys(("cached input", "input cached"), "cached_input"),
    **dict.fromkeys(("cache write", "cache writes", "input cache write"), "cache_write"),
    "output": "output",
}
"""The token types that line items name, in each of OpenAI's spellings. `input` never includes cached tokens."""
MODALITIES: Final = ("text", "audio", "image")
MODEL_ALONE: Final = re.compile(
    r"(?:(?:chat)?gpt|o\d|dall-e|whisper|tts|sora|text-embedding|omni-moderation|ft)(?:[-:][\w.:-]+)?(?: \d)?\Z"
)
"""What is a model even where no token type stands beside it."""
MODEL_WITH_MODALITY: Final = re.compile(rf"(?P<model>.*\S)\s+(?P<modality>{'|'.join(MODALITIES)})\Z")


class LineItem(NamedTuple):
    """What the text of a line item says, as far as its shape is known; `channel` is what stands before a bar."""

    model: str | None = None
    token_type: str | None = None
    modality: str | None = None
    channel: str | None = None
    details: tuple[str, ...] = ()


@lru_cache(4096)  # the same few texts stand on every day of every project
def read_line_item(text: str | None) -> LineItem:
    """Read texts such as `priority | gpt-5.6-sol, output, long context`. What fits no known shape says nothing.

    OpenAI publishes no grammar for them: never an error, and never a reason to drop a row.
    """
    channel, _, rest = (part.strip() for part in (text or "").rpartition("|"))
    parts = [part.strip() for part in rest.split(",")]
    at = next((place for place, part in enumerate(parts) if _token_type(part)), None)
    token_type = None if at is None else _token_type(parts.pop(at))
    model = modality = None
    if at or (at is None and MODEL_ALONE.match(parts[0])):
        model, modality = _model(parts.pop(0))
        if modality is None and parts and parts[0] in MODALITIES:
            modality = parts.pop(0)
    return LineItem(model, token_type, modality, channel or None, tuple(parts) if model or token_type else ())


def _token_type(text: str) -> str | None:
    return TOKEN_TYPES.get(text.lower().replace("_", " ").removesuffix(" tokens"))


def _model(text: str) -> tuple[str | None, str | None]:
    parts = MODEL_WITH_MODALITY.match(text)
    return (parts["model"], parts["modality"]) if parts else (text or None, None)
