"""The calls of channels that are read, in the native protocol (`docs/feed.md`): for this bot, and for any other."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
import structlog
from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response, WebSocket, WebSocketDisconnect
from msgspec import Struct

from runtime.errors import TransientError
from services.channels.history import CallHistory, KeptCall
from web.app import bearer_check
from web.proof import proof_of

log = structlog.get_logger(__name__)

PREFIX: Final = "/feed"
HEARTBEAT_S: Final = 5.0
MAX_READERS: Final = 100
_SUBSCRIBES_WITHIN_S: Final = 10.0
_TAKEN_WITHIN_S: Final = 30.0
"""Who takes no frame for so long is let go: it comes again with its cursor."""
_ID: Final = re.compile(r"[!-~]{1,64}")
"""Of a channel, a token or a chain: what is not so names none."""
_PAGE: Final = 500
_MAX_PAGE: Final = 1_000
_MAX_CURSOR: Final = 2**53
_encode: Final = msgspec.json.Encoder().encode

Described = Callable[[str, str | None], Awaitable[object | None]]
"""From an id, and a chain, to what is said of it, in the protocol's own form; `None` where nobody knows it.
`TransientError`."""


class Subscribe(Struct, tag_field="type", tag="subscribe"):
    topics: Annotated[list[Annotated[str, msgspec.Meta(max_length=20)]], msgspec.Meta(max_length=20)]
    since: Annotated[int, msgspec.Meta(ge=0, le=_MAX_CURSOR)] | None = None
    token: Annotated[str, msgspec.Meta(max_length=500)] = ""


_subscribe: Final = msgspec.json.Decoder(Subscribe)


class ChannelFeed:
    def __init__(
        self,
        *,
        history: CallHistory,
        token: str,
        clock: Callable[[], datetime],
        channel: Described,
        token_of: Described,
    ) -> None:
        """`token`: what readers have to show, in their first frame and on the HTTP side."""
        self._history = history
        self._clock = clock
        self._describes: dict[str, Described] = {"channels": channel, "tokens": token_of}
        self._may_read = bearer_check(token)
        self._proves = proof_of(token.encode())

    @property
    def router(self) -> APIRouter:
        """The way in, for `create_app`."""
        router = APIRouter(prefix=PREFIX)
        router.add_api_websocket_route("", self.attend)
        readers = [Depends(self._check)]
        router.add_api_route("/v1/calls", self.calls, methods=["GET"], dependencies=readers)
        router.add_api_route("/v1/{what}/{of}", self.describe, methods=["GET"], dependencies=readers)
        return router

    async def calls(
        self,
        since: Annotated[int, Query(ge=0, le=_MAX_CURSOR)],
        limit: Annotated[int, Query(ge=1)] = _PAGE,
    ) -> Response:
        """Tell the calls after a cursor, the oldest first."""
        with _unavailable():
            newest, kept = await self._history.newest(), await self._history.since(since, min(limit, _MAX_PAGE))
        return _json({"cursor": newest, "calls": [msgspec.Raw(call.frame.encode()) for call in kept]})

    async def describe(self, what: str, of: str, chain: str | None = None) -> Response:
        """Tell what is known of a channel or a token."""
        ask = self._describes.get(what)
        if ask is None or not all(map(_ID.fullmatch, (of, chain or "solana"))):
            raise HTTPException(HTTPStatus.NOT_FOUND)
        with _unavailable():
            found = await ask(of, chain)
        if found is None:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        return _json(found)

    async def attend(self, socket: WebSocket) -> None:
        """Tell one reader what it has not, and what comes, until it goes."""
        await socket.accept()
        with suppress(WebSocketDisconnect, RuntimeError):
            await self._converse(socket)

    async def _converse(self, socket: WebSocket) -> None:
        try:
            async with asyncio.timeout(_SUBSCRIBES_WITHIN_S):
                wish = _subscribe.decode(await socket.receive_text())
        except (msgspec.MsgspecError, KeyError, TimeoutError):
            await _refuse(socket, "expected a subscribe frame")
            return
        if not self._proves(wish.token):
            await _refuse(socket, "a wrong token, or none")
            return
        # Who has proved nothing takes no place from those who have.
        if self._history.readers >= MAX_READERS:
            await _refuse(socket, "too many readers")
            return
        self._history.readers += 1
        try:
            await self._attend_to(socket, wish)
        finally:
            self._history.readers -= 1

    async def _attend_to(self, socket: WebSocket, wish: Subscribe | None) -> None:
        """Tell what is wished for, until the reader wishes for something else, and then that."""
        while wish is not None:
            wish = await self._until_another(socket, wish)
            if wish is not None and not self._proves(wish.token):
                await _refuse(socket, "a wrong token, or none")
                return

    async def _until_another(self, socket: WebSocket, wish: Subscribe) -> Subscribe | None:
        telling = asyncio.ensure_future(self._tell(socket, wish))
        listening = asyncio.ensure_future(_another(socket))
        try:
            await asyncio.wait({telling, listening}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (telling, listening):
                task.cancel()
            results = await asyncio.gather(telling, listening, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, TimeoutError | WebSocketDisconnect):
                raise result
        return listening.result() if not listening.cancelled() and listening.exception() is None else None

    async def _tell(self, socket: WebSocket, wish: Subscribe) -> None:
        newest = await self._until_known()
        cursor = newest if wish.since is None else wish.since
        await _send(socket, _encode({"type": "subscribed", "cursor": newest}).decode())
        spoke_at = asyncio.get_running_loop().time()
        while True:
            wakes = self._history.wakes
            kept = await self._since(cursor) if "calls" in wish.topics else ()
            for call in kept:
                await _send(socket, call.frame)
                cursor = call.cursor
            now_s = asyncio.get_running_loop().time()
            if kept:
                spoke_at = now_s
                continue
            if now_s - spoke_at >= HEARTBEAT_S:
                spoke_at = now_s
                beat = {"type": "heartbeat", "at": self._clock(), "cursor": cursor}
                await _send(socket, _encode(beat).decode())
            await self._history.came(wakes)

    async def _until_known(self) -> int:
        while True:
            try:
                return await self._history.newest()
            except TransientError as error:
                log.warning("feed_waits", reason=str(error))
                await self._history.came(self._history.wakes)

    async def _since(self, cursor: int) -> Sequence[KeptCall]:
        try:
            return await self._history.since(cursor, _PAGE)
        except TransientError as error:
            log.warning("feed_waits", reason=str(error))
            return ()

    def _check(self, request: Request) -> None:
        if not self._may_read(request):
            raise HTTPException(HTTPStatus.UNAUTHORIZED, headers={"WWW-Authenticate": "Bearer"})


@contextmanager
def _unavailable() -> Generator[None]:
    """Tell what cannot be read for now as such."""
    try:
        yield
    except TransientError as error:
        log.warning("feed_unavailable", reason=str(error))
        raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, headers={"Retry-After": "1"}) from error


def _json(document: Any) -> Response:
    return Response(_encode(document), media_type="application/json")


async def _send(socket: WebSocket, frame: str) -> None:
    async with asyncio.timeout(_TAKEN_WITHIN_S):
        await socket.send_text(frame)


async def _another(socket: WebSocket) -> Subscribe | None:
    """Return what the reader wishes for next, `None` when it has gone; whatever else it says is not needed."""
    while (said := await socket.receive())["type"] != "websocket.disconnect":
        with suppress(msgspec.MsgspecError):
            return _subscribe.decode(said.get("text") or "")
    return None


async def _refuse(socket: WebSocket, why: str) -> None:
    await _send(socket, _encode({"type": "error", "message": why}).decode())
    await socket.close(1008)
