"""uvicorn inside our event loop, as one more thing that is opened and closed."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Generator
from functools import partial
from types import TracebackType
from typing import Self, cast

import structlog
import uvicorn
from starlette.types import ASGIApp

from runtime.errors import FatalError
from runtime.reasons import cannot_listen
from web.protocol import BoundedProtocol, Bounds

log = structlog.get_logger(__name__)

_GRACE_S = 5
_BACKLOG = 2048
_MAX_SOCKET_FRAME = 16 * 1024
"""What readers say is short."""


class HttpServer:
    """Serves from `__aenter__` to `__aexit__`; `wait` raises should it ever stop in between."""

    def __init__(self, app: ASGIApp, host: str, port: int, bounds: Bounds | None = None) -> None:
        self._host = host
        self.port = port
        """0 until it listens means: a free one."""
        self._server = _EmbeddedServer(
            uvicorn.Config(
                app,
                http=cast("type[asyncio.Protocol]", partial(BoundedProtocol, bounds=bounds or Bounds())),
                log_config=None,
                log_level="error",  # what strangers send is not worth a line each
                access_log=False,
                lifespan="off",
                ws="websockets-sansio",
                ws_max_size=_MAX_SOCKET_FRAME,
                ws_per_message_deflate=False,
                server_header=False,
                timeout_graceful_shutdown=_GRACE_S,
            )
        )
        self._serving: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        listener = self._listen()
        self.port = listener.getsockname()[1]
        self._serving = asyncio.create_task(self._server.serve([listener]), name="http-server")
        log.info("http_listening", host=self._host, port=self.port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving

    async def wait(self) -> None:
        """Wait as long as the server runs, which is until it is closed."""
        if self._serving is not None:
            await asyncio.shield(self._serving)
        if not self._server.should_exit:
            raise FatalError("The HTTP server stopped by itself.")

    def _listen(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        try:
            return socket.create_server((self._host, self.port), family=family, backlog=_BACKLOG)
        except OSError as error:
            said = cannot_listen(error, host=self._host, port=self.port, port_name="HTTP_PORT", host_name="HTTP_HOST")
            raise FatalError(said) from error


class _EmbeddedServer(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave signals to the program."""
        yield
