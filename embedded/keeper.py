"""An embedded server that ends is started again, where it was and on the data it had, as often as that makes sense."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final, Never, Protocol

import structlog

from runtime.counted import counted
from runtime.errors import FatalError

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

POLL_EVERY_S: Final = 0.1
FIRST_WAIT_S: Final = 0.2
MAX_WAIT_S: Final = 5.0
STEADY_AFTER_S: Final = 60.0
"""What ran for so long before it ended counts as well again."""
MAX_ATTEMPTS: Final = 6
"""In a row, without a steady run between them."""


class Restartable(Protocol):
    @property
    def name(self) -> str: ...

    def ended(self) -> str | None:
        """Return how it ended; `None` while it serves."""
        ...

    def restart(self) -> None:
        """Block until it serves again at the same address. `FatalError` when it does not."""
        ...


async def keep(server: Restartable, say: Callable[[str], None]) -> Never:
    """Start it again whenever it ends, ever more slowly; `FatalError` when that does not help."""
    attempts, served_from = 0, time.monotonic()
    while True:
        reason = await _end_of(server)
        ended_at = time.monotonic()
        if ended_at - served_from > STEADY_AFTER_S:
            attempts = 0
        if attempts >= MAX_ATTEMPTS:
            raise FatalError(f"The embedded {server.name} keeps ending, {counted(attempts, 'time')} by now: {reason}")
        log.error("server_ended", server=server.name, reason=reason, attempts=attempts)
        say(f"The embedded {server.name} has ended ({reason}); starting it again.")
        if attempts:
            await asyncio.sleep(min(MAX_WAIT_S, FIRST_WAIT_S * 2 ** (attempts - 1)))
        attempts += 1
        try:
            await asyncio.to_thread(server.restart)
        except FatalError as error:
            log.error("server_not_restarted", server=server.name, reason=str(error))  # noqa: TRY400 - it says it all
            if attempts >= MAX_ATTEMPTS:
                raise
            continue
        served_from = time.monotonic()
        log.info("server_restarted", server=server.name, away_s=round(served_from - ended_at, 3))
        say(f"The embedded {server.name} runs again, after {served_from - ended_at:.1f} s.")


async def _end_of(server: Restartable) -> str:
    while (reason := server.ended()) is None:  # noqa: ASYNC110 - another process ends, and no signal tells of it
        await asyncio.sleep(POLL_EVERY_S)
    return reason
