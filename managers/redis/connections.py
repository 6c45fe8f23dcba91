"""Connections to Redis and what goes over them: commands in, replies out, once.

redis-py connects, speaks the handshake, reads replies and knows its errors. Its client and its pool stay out of the
way: what they do around every exchange costs several times what the exchange itself does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol, cast

import hiredis
from redis import asyncio as driver
from redis.exceptions import InvalidResponse, ResponseError

from managers.redis.errors import ELSEWHERE, code_of
from managers.redis.replies import Reply

Argument = bytes | str | int | float
Command = tuple[Argument, ...]

_pack = cast("Callable[[Command], bytes]", hiredis.pack_command)  # pyright: ignore[reportUnknownMemberType] - untyped


class _Connection(Protocol):
    """What is used of redis-py's untyped connection."""

    @property
    def is_connected(self) -> bool: ...
    async def connect(self) -> None: ...
    async def can_read(self) -> bool: ...
    async def send_packed_command(self, command: bytes) -> None: ...
    async def read_response(self) -> Reply: ...
    async def disconnect(self, *, nowait: bool = False) -> None: ...


class _Factory(Protocol):
    """What is used of redis-py's untyped pool."""

    def make_connection(self) -> _Connection: ...


class Connections:
    """As many as are asked over at once; each connects when it is first needed."""

    def __init__(
        self, url: str, *, connect_timeout_s: float, reply_timeout_s: float, health_check_interval_s: int
    ) -> None:
        self._reply_timeout_s = reply_timeout_s
        pool = driver.ConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType] - untyped
            url,
            socket_timeout=None,  # ours counts from the command to its reply
            socket_connect_timeout=connect_timeout_s,
            health_check_interval=health_check_interval_s,
            retry=None,
            protocol=2,
            driver_info=None,  # CLIENT SETINFO is newer than Redis 6.2
        )
        self._factory = cast("_Factory", pool)
        self._made: list[_Connection] = []
        self._idle: list[_Connection] = []
        """The one that was used last is used next."""

    async def ask(self, commands: Sequence[Command]) -> list[Reply]:
        """Send the commands together and return their replies; raises the first error among them.

        That is an error of redis-py, `TimeoutError` or `OSError`. An error inside a reply (what EXEC answers) counts.
        """
        connection = self._idle.pop() if self._idle else self._make()
        try:
            async with asyncio.timeout(self._reply_timeout_s):
                replies = await self._exchange(connection, commands)
        except BaseException:
            # A reply may still be on its way: nobody else may take it for theirs.
            await connection.disconnect(nowait=True)
            raise
        finally:
            self._idle.append(connection)
        for reply in replies:
            for one in reply if isinstance(reply, list) else (reply,):
                if isinstance(one, Exception):
                    if code_of(one) in ELSEWHERE:
                        await self.disconnect_idle()
                    raise one
        return cast("list[Reply]", replies)

    async def disconnect_idle(self) -> None:
        """Make whoever comes next connect anew."""
        for connection in tuple(self._idle):
            await connection.disconnect()

    async def close(self) -> None:
        for connection in self._made:
            await connection.disconnect()

    def _make(self) -> _Connection:
        connection = self._factory.make_connection()
        self._made.append(connection)
        return connection

    async def _exchange(self, connection: _Connection, commands: Sequence[Command]) -> list[Reply | ResponseError]:
        if not connection.is_connected:
            await connection.connect()
        elif await connection.can_read():  # the server has closed it
            await connection.disconnect()
            await connection.connect()
        await connection.send_packed_command(b"".join(map(_pack, commands)))
        replies: list[Reply | ResponseError] = []
        for _ in commands:
            try:
                replies.append(await connection.read_response())
            except ResponseError as error:
                replies.append(error)
            except ValueError as error:  # redis-py makes out the parts of some errors, as of MOVED
                raise InvalidResponse(f"unreadable: {error}") from error
        return replies
