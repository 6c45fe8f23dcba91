"""A background job is restarted after a `TransientError` and ends the process after anything else.

Liveness is progress: each job calls `progress()` from its working loop, and the watchdog believes nothing else.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Final, Never

import structlog

from runtime.cancellation import stop_if_cancelled
from runtime.errors import FatalError, TransientError
from runtime.pace import pace
from runtime.waiting import Progress, pause

log = structlog.get_logger(__name__)

STUCK_AFTER_S: Final = 150.0
"""A watched job that has reported no progress for so long hangs."""
WATCHDOG_EVERY_S: Final = 5.0

FIRST_WAIT_S = 0.5
MAX_WAIT_S = 30.0
STEADY_AFTER_S = 60.0
"""A job that ran this long starts again from the shortest wait."""

Job = Callable[[Progress], Awaitable[None]]


class Pulse:
    """When each job last made progress, on the monotonic clock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: dict[str, float] = {}

    def beat(self, name: str) -> None:
        self._last[name] = self._clock()

    def ages_s(self) -> Mapping[str, float]:
        now = self._clock()
        return {name: now - at for name, at in self._last.items()}

    def stuck(self, names: Iterable[str], after_s: float) -> dict[str, float]:
        """Return for how long each of these has reported nothing, if that is longer."""
        ages_s, limit_s = self.ages_s(), pace.seconds(after_s)
        return {name: age_s for name in names if (age_s := ages_s.get(name, 0.0)) > limit_s}


async def supervise(name: str, job: Job, pulse: Pulse) -> None:
    """Run `job` for ever. A job that merely returns has failed: a dead loop is never a silent loop."""
    wait_s, beat = FIRST_WAIT_S, partial(pulse.beat, name)
    while True:
        started_at = time.monotonic()
        beat()
        try:
            await job(beat)
        except TransientError as error:
            stop_if_cancelled()
            if time.monotonic() - started_at > STEADY_AFTER_S:
                wait_s = FIRST_WAIT_S
            log.warning("job_restarted", job=name, reason=str(error), wait_s=wait_s)
        else:
            raise FatalError(f"The job “{name}” ended by itself.")
        await pause(random.uniform(wait_s / 2, wait_s), beat)  # noqa: S311 - jitter, not a secret
        wait_s = min(MAX_WAIT_S, wait_s * 2)


async def watch(
    pulse: Pulse, names: Iterable[str], address: str | None, excused: Callable[[], frozenset[str]] = frozenset
) -> Never:
    """Tell systemd for ever that the process lives, as long as every one of these jobs moves.

    `excused`: those that cannot move just now, since they wait for another one of these.
    """
    watched = frozenset(names)
    notify_systemd("READY=1", address)
    while True:
        stuck = sorted(pulse.stuck(watched - excused(), STUCK_AFTER_S))
        if stuck:
            log.error("jobs_stuck", jobs=stuck)
        else:
            notify_systemd("WATCHDOG=1", address)
        await asyncio.sleep(pace.seconds(WATCHDOG_EVERY_S))


def notify_systemd(state: str, address: str | None) -> None:
    """Send `state` (`READY=1`, `WATCHDOG=1`, `STOPPING=1`) as sd_notify(3) describes; no address, no message."""
    if not address:
        return
    path = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto(state.encode(), os.fsencode(path))
