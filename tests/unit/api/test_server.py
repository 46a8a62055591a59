"""The server around the API."""

from __future__ import annotations

import gc

from starlette.applications import Starlette

from api.server import listening


async def test_what_is_loaded_is_not_gone_through_again() -> None:
    """Once the API listens, garbage collection leaves alone what was there before."""
    loaded = len(gc.get_objects()) + gc.get_freeze_count()
    async with listening(Starlette(), "127.0.0.1", 0):
        assert gc.get_freeze_count() > loaded / 2
