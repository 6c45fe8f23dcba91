"""HTTP/1.1 with an end to every wait and every body.

Whoever says nothing, not enough or too much, or does not listen, is hung up on. uvicorn bounds only the pause between
two requests of a connection, and reads on what nobody wants.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, cast

import h11
import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    request_within_s: float = 10.0
    """From the connection, or the last answer, until a request has come, body and all."""
    answer_within_s: float = 30.0
    """From then until its answer has been taken."""
    request_bytes: int = 2 * 1024 * 1024
    """Of one request, whoever reads it or does not. More than any route takes: those say so themselves."""
    connections: int = 512
    """Far below the number of files that a process may have open: Redis, PostgreSQL and Telegram need some."""


class BoundedProtocol(H11Protocol):
    def __init__(self, *args: Any, bounds: Bounds, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._bounds = bounds
        self._timer: asyncio.TimerHandle | None = None
        self._received_bytes = 0
        """Of the request that comes, or is answered."""
        self._answers = False
        """The whole request is here, and its answer is not complete."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect(self._bounds.request_within_s)
        if len(self.connections) > self._bounds.connections:
            self._hang_up("too many connections")

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._received_bytes += len(data)
        if self._received_bytes > self._bounds.request_bytes:
            self._hang_up("too much")
            return
        super().data_received(data)

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        # From here on it is a conversation, and whoever leads it bounds it.
        self._stop_timer()
        super().handle_websocket_upgrade(event)

    def handle_events(self) -> None:
        try:
            super().handle_events()
        except h11.ProtocolError as error:
            # What came makes no sense, and an answer has begun already that would have to say so.
            self._hang_up(str(error))
            return
        cycle = self._unanswered
        if cycle is not None and not cycle.more_body and not self._answers:
            self._answers = True
            self._expect(self._bounds.answer_within_s)

    def send_400_response(self, msg: str) -> None:
        """Say that what came makes no sense, unless an answer has begun; whoever works at one finds nobody there."""
        cycle = self._unanswered
        if cycle is not None and cycle.response_started:
            self._hang_up(msg)
            return
        self._abandon()
        super().send_400_response(msg)

    def on_response_complete(self) -> None:
        # Also when the request was answered before all of it had come: the rest has no longer than a new one.
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is None or not cycle.more_body:
            self._received_bytes = 0
        self._answers = False
        self._expect(self._bounds.request_within_s)
        super().on_response_complete()

    def _expect(self, within_s: float) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(within_s, self._hang_up, "too slow")

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def _unanswered(self) -> RequestResponseCycle | None:
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return None if cycle is None or cycle.response_complete else cycle

    def _abandon(self) -> None:
        cycle = self._unanswered
        if cycle is not None:
            cycle.disconnected = True
            cycle.message_event.set()

    def _hang_up(self, reason: str) -> None:
        self._stop_timer()
        self._abandon()
        log.debug("http_hung_up", reason=reason, client=self.client)
        self.transport.abort()  # closing would wait until what was written is taken
