"""Whether it makes sense to ask Redis at all: a circuit that opens when it is away, and probes that close it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Final, Never

import structlog

from managers.cancellation import stop_if_cancelled
from managers.redis_errors import RedisAwayError, RedisNotNowError, RedisReplyError, RedisTimeoutError

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

QUICK_ATTEMPTS: Final = 5
"""So many calls in a row may fail before the circuit opens."""
FIRST_PROBE_WAIT_S: Final = 0.1
LONGEST_PROBE_WAIT_S: Final = 5.0


class Circuit:
    """Opens after `QUICK_ATTEMPTS` failures in a row, or at once when no answer came in time; any answer closes it.

    It refuses calls only while `keep_probing` runs: an open circuit that nobody probes would never close.
    """

    def __init__(self) -> None:
        self.opened_at: datetime | None = None
        """`None` while it is closed."""
        self.reconnects = 0
        """How often it closed again."""
        self._opened_at_s = 0.0
        self._failures = 0
        self._period = 0
        self._is_probed = False
        self._opened = asyncio.Event()
        self._closed = asyncio.Event()
        self._closed.set()

    @property
    def is_open(self) -> bool:
        return self.opened_at is not None

    def check(self) -> None:
        """Raise `RedisAwayError` while calls make no sense; nothing was sent then."""
        if self.opened_at is not None and self._is_probed:
            raise RedisAwayError(f"Redis is away since {self.opened_at:%Y-%m-%d %H:%M:%S} UTC: circuit open")

    async def wait_until_closed(self) -> None:
        await self._closed.wait()

    @contextmanager
    def attempt(self) -> Generator[None]:
        """Learn from the outcome of the call inside."""
        period = self._period
        try:
            yield
        except (RedisNotNowError, RedisReplyError):
            self._answered()
            raise
        except RedisAwayError as error:
            # A call that began before the circuit opened the last time says nothing about the time since.
            if period == self._period:
                self._failed(error)
            raise
        else:
            self._answered()

    async def keep_probing(
        self, probe: Callable[[], Awaitable[object]], *, healthy_every_s: float, progress: Callable[[], None]
    ) -> Never:
        """Probe for ever: now and then while Redis answers, with back-off and jitter while it does not."""
        failures = 0
        self._is_probed = True
        try:
            while True:
                progress()
                try:
                    await probe()
                    failures = 0
                except RedisAwayError:
                    stop_if_cancelled()
                    failures += 1
                await self._pause(_back_off_s(failures) if failures else healthy_every_s)
        finally:
            self._is_probed = False

    async def _pause(self, wait_s: float) -> None:
        """Wait; a circuit that opens meanwhile ends the wait."""
        if self.is_open:
            await asyncio.sleep(wait_s)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._opened.wait()

    def _failed(self, error: RedisAwayError) -> None:
        self._failures += 1
        if self.is_open or (self._failures < QUICK_ATTEMPTS and not isinstance(error, RedisTimeoutError)):
            return
        self.opened_at = datetime.now(UTC)
        self._opened_at_s = time.monotonic()
        self._period += 1
        self._closed.clear()
        self._opened.set()
        log.warning("redis_lost", reason=str(error), failures=self._failures)

    def _answered(self) -> None:
        self._failures = 0
        if not self.is_open:
            return
        self.opened_at = None
        self.reconnects += 1
        self._opened.clear()
        self._closed.set()
        log.info("redis_came_back", away_s=round(time.monotonic() - self._opened_at_s, 3))


def _back_off_s(failures: int) -> float:
    longest_s = min(LONGEST_PROBE_WAIT_S, FIRST_PROBE_WAIT_S * 2 ** min(failures - 1, 16))
    return random.uniform(longest_s / 2, longest_s)  # noqa: S311 - jitter, not a secret
