"""A request is sent once, whatever the library thinks of broken connections."""

from __future__ import annotations

import aiohttp


def once() -> aiohttp.ClientMiddlewareType:
    """Keep aiohttp from repeating a request by itself when the connection breaks: nobody would count that one."""
    was_sent = False

    async def send(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        nonlocal was_sent
        if was_sent:
            raise aiohttp.ServerDisconnectedError
        was_sent = True
        return await handler(request)

    return send
