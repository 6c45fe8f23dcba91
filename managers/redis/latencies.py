"""How long Redis takes to answer: one line a minute, in redisperformance.log."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

T = TypeVar("T")

LINE_EVERY_S: Final = 60.0
_MAX_SAMPLES: Final = 4096
"""The latest of a minute; enough for its p99, and sorted in less than a millisecond."""
_BLOCKING: Final = frozenset({"XREAD", "XREADGROUP"})
"""They wait for entries, so how long they take says nothing about Redis."""


class RedisLatencies:
    """Writes its line with the first answer after the minute; the probes see to it that there is one."""

    def __init__(self, *, every_s: float = LINE_EVERY_S, clock: Callable[[], float] = time.monotonic) -> None:
        self.every_s = every_s
        self._clock = clock
        self._since = clock()
        self._begin()

    def _begin(self) -> None:
        self._latest: deque[float] = deque(maxlen=_MAX_SAMPLES)
        self._count = 0
        self._max_s, self._slowest = 0.0, ""

    async def measured(self, command: object, answer: Awaitable[T]) -> T:
        """Await the answer to `command`; what fails has no latency."""
        started = time.perf_counter()
        reply = await answer
        if command not in _BLOCKING:
            self._note(command, time.perf_counter() - started)
        return reply

    def _note(self, command: object, latency_s: float) -> None:
        self._latest.append(latency_s)
        self._count += 1
        if latency_s > self._max_s:
            self._max_s, self._slowest = latency_s, str(command)
        if self._clock() - self._since >= self.every_s:
            self._write()

    def _write(self) -> None:
        ordered = sorted(self._latest)
        log.info(
            "redis_latencies",
            round_trips=self._count,
            p50_ms=_ms(ordered[len(ordered) // 2]),
            p99_ms=_ms(ordered[len(ordered) * 99 // 100]),
            max_ms=_ms(self._max_s),
            slowest=self._slowest,
        )
        self._since = self._clock()
        self._begin()


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
