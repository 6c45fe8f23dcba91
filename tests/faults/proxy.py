"""A proxy on loopback that stands before a server and does to a connection whatever a network can do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit

_HOST = "127.0.0.1"
_CHUNK_BYTES = 1 << 16
_LONGEST_NEEDLE_BYTES = 64


class Endpoint:
    """Where the real server listens: a Unix socket or a TCP port, read from its URL."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        query = parse_qs(parts.query)
        self._path: str | None = None
        if parts.scheme == "unix":
            self._path = unquote(parts.path)
        elif not parts.hostname and "host" in query:  # PostgreSQL's way to name a directory with a socket in it
            self._path = str(Path(query["host"][0]) / ".s.PGSQL.5432")
        self._address = parts.hostname or _HOST, parts.port or 0

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._path is not None:
            return await asyncio.open_unix_connection(self._path)
        return await asyncio.open_connection(*self._address)


class FaultProxy:
    """`async with FaultProxy(url) as proxy:` listens on a TCP port that stays the same until the block ends.

    Each fault holds for connections that stand as for new ones, until `repair()`.
    """

    def __init__(self, url: str, *, seed: int = 1) -> None:
        self._endpoint = Endpoint(url)
        self._random = Random(seed)
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self._delay_s = 0.0
        self._lose: bytes | None = None
        self._lose_rate = 0.0
        self._instead: Iterator[bytes] = iter(())
        self.port = 0
        self.lost = 0
        """Replies that were lost."""
        self.accepted = 0
        """Connections that somebody made."""
        self.answered_instead = 0
        """Requests that never reached the server."""

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.refuse()

    @property
    def redis_url(self) -> str:
        return f"redis://{_HOST}:{self.port}/0"

    @property
    def authority(self) -> str:
        return f"{_HOST}:{self.port}"

    def postgres_dsn(self, database: str) -> str:
        return f"postgresql://postgres@{_HOST}:{self.port}/{database}?sslmode=disable"

    # faults

    def delay(self, seconds: float) -> None:
        """Hold every chunk back for this long, both ways."""
        self._delay_s = seconds

    def cut(self) -> None:
        """Reset every connection; new ones are let in."""
        for connection in tuple(self._connections):
            connection.abort()

    def half_open(self) -> None:
        """Take connections and bytes, and give nothing back."""
        self._flows.clear()

    def lose_reply_to(self, command: bytes) -> None:
        """Lose the reply to the next request with these bytes in it, and hang up: it was executed, nobody knows."""
        if len(command) > _LONGEST_NEEDLE_BYTES:
            raise ValueError("too long to be looked for")
        self._lose = command

    def lose_replies(self, rate: float) -> None:
        """Do the same to this share (0-1) of all requests."""
        self._lose_rate = rate

    def answer_instead(self, answers: Iterable[bytes]) -> None:
        """Answer the first request on each connection in the server's place, one by one, and hang up."""
        self._instead = iter(answers)
        self.cut()

    def lead_to(self, url: str) -> None:
        """Let new connections go to another server; those that stand stay where they are."""
        self._endpoint = Endpoint(url)

    async def refuse(self) -> None:
        """Nobody listens any more, and who was connected is cut off."""
        if self._server is not None:
            self._server.close()
            self.cut()
            self._flows.set()
            await self._server.wait_closed()
            self._server = None

    async def repair(self) -> None:
        """Be a good proxy again. What was swallowed meanwhile does not come back."""
        self._delay_s = self._lose_rate = 0.0
        self._lose = None
        self._instead = iter(())
        if not self._flows.is_set():
            self.cut()
            self._flows.set()
        if self._server is None:
            await self._listen()

    # the way through

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, _HOST, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        self.accepted += 1
        connection = _Connection(answers)
        self._connections.add(connection)
        try:
            await self._passes(connection)
            if (answer := next(self._instead, None)) is not None:
                await self._answer(client, answers, answer)
                return
            replies, server = await self._endpoint.open()
            connection.writers.append(server)
            pumps = [
                asyncio.create_task(self._pump(client, server, connection, self._look_at_request)),
                asyncio.create_task(self._pump(replies, answers, connection, self._look_at_reply)),
            ]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
        except OSError:
            pass  # nobody is there; the client finds out when it is hung up on
        finally:
            self._connections.discard(connection)
            await connection.close()

    async def _answer(self, client: asyncio.StreamReader, answers: asyncio.StreamWriter, answer: bytes) -> None:
        if await client.read(_CHUNK_BYTES):
            self.answered_instead += 1
            answers.write(answer)
            await answers.drain()

    async def _pump(
        self,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        connection: _Connection,
        poll: Callable[[bytes, _Connection], None],
    ) -> None:
        """Carry bytes one way until either side has gone."""
        while chunk := await source.read(_CHUNK_BYTES):
            if self._delay_s:
                await asyncio.sleep(self._delay_s)
            await self._passes(connection)
            poll(chunk, connection)
            target.write(chunk)
            await target.drain()

    async def _passes(self, connection: _Connection) -> None:
        await self._flows.wait()
        if connection.is_cut:  # what it had said before must not get through now
            raise ConnectionResetError

    def _look_at_request(self, chunk: bytes, connection: _Connection) -> None:
        window = connection.tail + chunk
        connection.tail = window[-_LONGEST_NEEDLE_BYTES:]
        if self._lose is not None and self._lose in window:
            self._lose = None
            connection.is_losing = True
        elif self._lose_rate and self._random.random() < self._lose_rate:
            connection.is_losing = True

    def _look_at_reply(self, chunk: bytes, connection: _Connection) -> None:
        if connection.is_losing:
            self.lost += 1
            raise ConnectionResetError


class _Connection:
    def __init__(self, client: asyncio.StreamWriter) -> None:
        self.writers = [client]
        self.tail = b""
        """The end of what was asked: a command may be spread over two chunks."""
        self.is_losing = False
        """The next reply is not passed on."""
        self.is_cut = False

    def abort(self) -> None:
        self.is_cut = True
        for writer in self.writers:
            writer.transport.abort()

    async def close(self) -> None:
        for writer in self.writers:
            writer.close()
        for writer in self.writers:
            with contextlib.suppress(OSError):
                await writer.wait_closed()
