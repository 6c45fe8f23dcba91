"""A connection that offers each message where the socket is read.

Between the socket and a task that awaits `recv` lies a turn of the event loop. Who can take a message at once is spared
it: everything else about the connection, its limits, pings and closing, is the library's.
"""

from __future__ import annotations

from collections.abc import Callable

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response


class FeedConnection(ClientConnection):
    offer: Callable[[bytes], bool] | None = None
    """Takes a message, or says that it has to be waited for: then it comes from `next_message`, like all that are read
    before that one was. Must not block. What it raises ends the connection, and is raised by `next_message`."""
    is_awaited = False
    """Somebody waits for the next message."""
    _unread = 0
    _failure: Exception | None = None

    async def next_message(self) -> bytes:
        """The next message that was not taken. `ConnectionClosed`."""
        self.is_awaited = True
        try:
            message = await self.recv(decode=False)
        except ConnectionClosed:
            if self._failure is not None:
                raise self._failure from None
            raise
        finally:
            self.is_awaited = False
        self._unread -= 1
        return message

    def process_event(self, event: Request | Response | Frame) -> None:
        if isinstance(event, Frame) and event.opcode in {Opcode.TEXT, Opcode.BINARY}:
            if event.fin and self.is_awaited and not self._unread and self._is_taken(bytes(event.data)):
                return
            self._unread += 1
        super().process_event(event)

    def _is_taken(self, message: bytes) -> bool:
        try:
            return self.offer is not None and self.offer(message)
        except Exception as error:  # noqa: BLE001 - the transport would only log it
            self._failure = error
            self.transport.abort()
            return True
