"""Whether it makes sense to ask Redis at all: a circuit that opens when it is unavailable, and probes that close it.

A server that says even to PING that it cannot serve (its disk is full, it is loading) may still answer those who read:
only a PING that is answered closes the circuit then, else it would open and close with every other question.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Final, Never

import structlog

from managers.redis.errors import (
    RedisBusyError,
    RedisNotServingError,
    RedisReplyError,
    RedisTimeoutError,
    RedisUnavailableError,
)
from runtime.cancellation import stop_if_cancelled
from runtime.waiting import Progress

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

QUICK_ATTEMPTS: Final = 5
"""So many calls in a row may fail before the circuit opens."""
REFUSED_LATELY_S: Final = 10.0
"""Whoever repeats a command that was refused does so sooner."""
FIRST_PROBE_WAIT_S: Final = 0.1
MAX_PROBE_WAIT_S: Final = 5.0


class Circuit:
    """Opens after `QUICK_ATTEMPTS` failures in a row, or at once when no answer came in time or none is to be expected.

    Any answer closes it; after `RedisNotServingError` the answer to a probe.

    It refuses calls only while `keep_probing` runs: an open circuit that nobody probes would never close.
    """

    def __init__(self) -> None:
        self.opened_at: datetime | None = None
        """`None` while it is closed."""
        self.reason = ""
        """Why it is open, as the last failure had it."""
        self.reconnects = 0
        """How often it closed again."""
        self._opened_at_s = 0.0
        self._failures = 0
        self._period = 0
        self._is_probed = False
        self._is_for_probes = False
        """Whether only the answer to a probe closes it."""
        self._refused: dict[object, tuple[float, str]] = {}
        """When and why a command was refused for now that was not taken since, by its name."""
        self._opened = asyncio.Event()
        self._closed = asyncio.Event()
        self._closed.set()

    @property
    def is_open(self) -> bool:
        return self.opened_at is not None

    def check(self) -> None:
        """Raise `RedisUnavailableError` while calls make no sense; nothing was sent then."""
        if self.opened_at is not None and self._is_probed:
            raise RedisUnavailableError(
                f"Redis is unavailable since {self.opened_at:%Y-%m-%d %H:%M:%S} UTC: circuit open"
            )

    def why_unusable(self) -> str | None:
        """Return why questions go unanswered or are refused for now, if they are."""
        if self.is_open:
            return self.reason
        since = time.monotonic() - REFUSED_LATELY_S
        return next((reason for at, reason in self._refused.values() if at >= since), None)

    async def wait_until_closed(self) -> None:
        await self._closed.wait()

    @contextmanager
    def attempt(self, command: object = None, *, is_probe: bool = False) -> Generator[None]:
        """Learn from the outcome of the call inside; `command` is its name."""
        period = self._period
        try:
            yield
        except RedisBusyError as error:
            self._refused[command] = time.monotonic(), str(error)
            self._answered(is_probe=is_probe)
            raise
        except RedisReplyError:
            self._answered(is_probe=is_probe)
            raise
        except RedisUnavailableError as error:
            # A call that began before the circuit opened the last time says nothing about the time since.
            if period == self._period:
                self._failed(error)
            raise
        else:
            if self._refused:
                self._refused.pop(command, None)
            self._answered(is_probe=is_probe)

    async def keep_probing(
        self, probe: Callable[[], Awaitable[object]], *, healthy_every_s: float, progress: Progress
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
                except RedisUnavailableError:
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

    def _failed(self, error: RedisUnavailableError) -> None:
        self._failures += 1
        self.reason = str(error)
        if not self.is_open:
            self._is_for_probes = isinstance(error, RedisNotServingError)
        at_once = isinstance(error, RedisTimeoutError | RedisNotServingError)
        if self.is_open or (self._failures < QUICK_ATTEMPTS and not at_once):
            return
        self.opened_at = datetime.now(UTC)
        self._opened_at_s = time.monotonic()
        self._period += 1
        self._closed.clear()
        self._opened.set()
        log.warning("redis_lost", reason=str(error), failures=self._failures)

    def _answered(self, *, is_probe: bool) -> None:
        if self.is_open and self._is_for_probes and self._is_probed and not is_probe:
            return
        self._failures = 0
        if not self.is_open:
            return
        self.opened_at = None
        self.reconnects += 1
        self._opened.clear()
        self._closed.set()
        log.info("redis_recovered", away_s=round(time.monotonic() - self._opened_at_s, 3))


def _back_off_s(failures: int) -> float:
    longest_s = min(MAX_PROBE_WAIT_S, FIRST_PROBE_WAIT_S * 2 ** min(failures - 1, 16))
    return random.uniform(longest_s / 2, longest_s)  # noqa: S311 - jitter, not a secret
