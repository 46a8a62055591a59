"""HTTP digest authentication (RFC 7616): a server's challenge is answered without ever sending the password."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import httpx

from reconciler.connectors.call import origin
from reconciler.errors import Bug

Send = Callable[[httpx.Request], Awaitable[httpx.Response]]


class Digest:
    """Answers the challenges of the origin of `base`. A challenge is kept, so that one is asked for once in a run."""

    def __init__(self, base: httpx.URL, user: str, password: str) -> None:
        self._origin = origin(base)
        self._auth = httpx.DigestAuth(user, password)

    async def send(self, request: httpx.Request, send: Send) -> httpx.Response:
        """The answer to `request`, sent by `send`: once, or again with the answer to the server's challenge.

        Raises Bug for a challenge that cannot be answered. Requests to other origins are only passed on.
        """
        if origin(request.url) != self._origin:
            return await send(request)
        steps = self._auth.auth_flow(request)
        response = await send(next(steps))
        try:
            again = steps.send(response)
        except StopIteration:
            return response
        except (KeyError, ValueError, NotImplementedError, httpx.ProtocolError) as error:
            await response.aclose()
            raise Bug(f"the challenge of digest authentication cannot be answered: {type(error).__name__}") from None
        await response.aclose()
        return await send(again)
