"""The health of the reconciler over HTTP: `/healthz` for liveness, `/readyz` for readiness."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from reconciler.errors import NeedsPerson

Trouble = Callable[[], Awaitable[str | None]]
"""Answers what is wrong; None when nothing is."""
SECONDS: Final = 5.0


@asynccontextmanager
async def probes(host: str, port: int, *, live: Trouble, ready: Trouble) -> AsyncIterator[str]:
    """Answer probes while the block runs; gives the base URL. That an answer comes shows that the loop lives."""
    app = web.Application()
    app.add_routes([web.get("/healthz", _answering(live)), web.get("/readyz", _answering(ready))])
    runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise NeedsPerson(f"cannot listen on {host}:{port}: {error.strerror or error}") from None
        yield f"http://{host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def _answering(trouble: Trouble) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_request: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(SECONDS):
                found = await trouble()
        except TimeoutError:
            found = "no answer in time"
        if found is None:
            return web.json_response({"status": "ok"})
        return web.json_response({"status": "unavailable", "reason": found}, status=503)

    return answer
