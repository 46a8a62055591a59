"""The health of the reconciler over HTTP: `/healthz` for liveness, `/readyz` for readiness, `/metrics` for the rest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from reconciler.errors import NeedsPerson

Trouble = Callable[[], Awaitable[str | None]]
"""Answers what is wrong; None when nothing is."""
SECONDS: Final = 5.0


@asynccontextmanager
async def probes(
    host: str, port: int, *, live: Trouble, ready: Trouble, metrics: CollectorRegistry
) -> AsyncIterator[str]:
    """Answer probes while the block runs; gives the base URL. That an answer comes shows that the loop lives."""
    app = web.Application()
    app.add_routes(
        [
            web.get("/healthz", _answering(live)),
            web.get("/readyz", _answering(ready)),
            web.get("/metrics", _telling(metrics)),
        ]
    )
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


def _telling(metrics: CollectorRegistry) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        encode, kind = choose_encoder(request.headers.get("accept", ""))
        return web.Response(body=encode(metrics), headers={"Content-Type": kind, "Cache-Control": "no-store"})

    return answer


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
