"""A Unix socket in front of a Redis that can lose replies: the command is executed, the answer never arrives."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from urllib.parse import unquote


class LossyProxy:
    def __init__(self, redis_url: str, directory: Path) -> None:
        self._server_path = unquote(redis_url.removeprefix("unix://"))
        self._path = directory / "proxy.sock"
        self._lose: bytes | None = None
        self.lost = 0

    @property
    def url(self) -> str:
        return f"unix://{self._path}"

    def lose_reply_to(self, command: bytes) -> None:
        """Lose the reply to the next request that contains these bytes, and hang up."""
        self._lose = command

    @contextlib.asynccontextmanager
    async def running(self):
        server = await asyncio.start_unix_server(self._serve, self._path)
        async with server:
            yield self
        self._path.unlink(missing_ok=True)

    async def _serve(self, client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        replies, server = await asyncio.open_unix_connection(self._server_path)
        try:
            while request := await client.read(1 << 20):
                server.write(request)
                await server.drain()
                reply = await replies.read(1 << 20)
                if self._lose is not None and self._lose in request:
                    self._lose = None
                    self.lost += 1
                    return
                answers.write(reply)
                await answers.drain()
        except ConnectionError:
            return
        finally:
            for writer in (server, answers):
                writer.close()
                with contextlib.suppress(ConnectionError):
                    await writer.wait_closed()
