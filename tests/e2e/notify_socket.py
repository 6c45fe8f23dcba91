"""What systemd binds for a unit with Type=notify: a datagram socket, and a clock that counts from the last word."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.e2e.bot_process import ROOT

_UNIT: Final = ROOT / "systemd" / "token-filter-bot.service"
WATCHDOG: Final = "WATCHDOG=1"


def watchdog_s() -> float:
    """Return for how long systemd bears silence, as our unit tells it."""
    found = re.search(r"^WatchdogSec=(\d+)$", _UNIT.read_text(), re.MULTILINE)
    assert found
    return float(found[1])


class NotifySocket(asyncio.DatagramProtocol):
    def __init__(self, path: Path) -> None:
        self.path = path
        self.states: list[str] = []
        self.longest_silence_s = 0.0
        """Between two pings."""
        self._pinged_at: float | None = None
        self._news = asyncio.Event()
        self._transport: asyncio.BaseTransport | None = None

    async def __aenter__(self) -> Self:
        bound = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        bound.setblocking(False)
        bound.bind(str(self.path))
        self._transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, sock=bound)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._transport
        self._transport.close()
        self.path.unlink()

    def datagram_received(self, data: bytes, addr: object) -> None:
        state = data.decode()
        self.states.append(state)
        if state == WATCHDOG:
            self.longest_silence_s = max(self.longest_silence_s, self.silent_s)
            self._pinged_at = time.monotonic()
        self._news.set()

    @property
    def pings(self) -> int:
        return self.states.count(WATCHDOG)

    @property
    def silent_s(self) -> float:
        """Since the last ping; 0 before the first."""
        return 0.0 if self._pinged_at is None else time.monotonic() - self._pinged_at

    async def more_pings(self, count: int, *, within_s: float) -> None:
        """Wait for so many more; `TimeoutError` when they do not come."""
        wanted = self.pings + count
        async with asyncio.timeout(within_s):
            while self.pings < wanted:
                self._news.clear()
                await self._news.wait()
