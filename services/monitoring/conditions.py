"""When something is wrong that an admin should know of. Each condition gives the reason while it is, else `None`."""

from __future__ import annotations

import shutil
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from managers.feed.websocket import FeedHealth
from services.cluster.members import Member
from services.monitoring.readings import Reading
from services.stores.database import Standing
from services.stores.journal import JournalLag

Condition = Callable[[], str | None]

FULL_SHARE: Final = 0.8
JOURNAL_AGE_S: Final = 60.0
UPDATE_AGE_S: Final = 60.0
"""Twice as long as all that one person may have waiting takes at the pace that Telegram allows."""
MIB: Final = 1 << 20
DISK_FREE_BYTES: Final = 512 * MIB
DISK_FREE_SHARE: Final = 0.05
"""Less than both is an alarm."""
GREW_WITHIN_S: Final = 600.0
LETTERS_GREW_BY: Final = 5
"""So few that one fault of ours shows, so many that a subscriber who blocks the bot is no alarm."""
OUTDATED: Final = 5


def queue_filling(size: Callable[[], int], capacity: int) -> Condition:
    def reason() -> str | None:
        waiting = size()
        return f"{waiting:,} of {capacity:,} places are taken" if waiting >= FULL_SHARE * capacity else None

    return reason


def journal_behind(lag: Callable[[], JournalLag | None]) -> Condition:
    """`lag`: as last seen; `None` while Redis is away, which is an alarm of its own."""

    def reason() -> str | None:
        known = lag()
        if known is None or known.age_s <= JOURNAL_AGE_S:
            return None
        return f"{known.entries:,} entries wait, the oldest for {known.age_s:,.0f} s"

    return reason


def disk_filling(path: Path) -> Condition:
    """Before it is full, so that somebody can do something; and when it cannot be asked."""

    def reason() -> str | None:
        try:
            usage = shutil.disk_usage(path)
        except OSError as error:
            return f"{path} cannot be used: {error.strerror}"
        if usage.free >= min(DISK_FREE_BYTES, DISK_FREE_SHARE * usage.total):
            return None
        return f"{usage.free / MIB:,.1f} of {usage.total / MIB:,.0f} MiB are left where {path} is"

    return reason


def data_lost(standing: Callable[[], Standing | None]) -> Condition:
    """`standing`: as last seen; `None` while it cannot be told."""

    def reason() -> str | None:
        known = standing()
        return known.problem if known else None

    return reason


def unanswered(reading: Reading[object]) -> Condition:
    return lambda: reading.problem


def flagged(is_so: Callable[[], bool], reason: str) -> Condition:
    """For whatever knows about itself whether it is well."""
    return lambda: reason if is_so() else None


def feed_silent(health: Callable[[], FeedHealth]) -> Condition:
    def reason() -> str | None:
        feed = health()
        if not feed.connected:
            return f"{feed.source} is not connected: {feed.last_problem or 'not yet'}"
        if not feed.stale:
            return None
        heard = "nothing yet" if feed.data_age_s is None else f"nothing for {feed.data_age_s:,.0f} s"
        return f"{feed.source} is connected and says {heard}"

    return reason


def nobody_answered(*problems: Callable[[], str | None]) -> Condition:
    """Each of `problems` says why people who write to the bot get no answer, if it knows so."""
    return lambda: next((reason for problem in problems if (reason := problem())), None)


def updates_waiting(oldest_age_s: Callable[[], float], waiting: Callable[[], int]) -> Condition:
    def reason() -> str | None:
        age_s = oldest_age_s()
        return f"{waiting():,} wait, the oldest for {age_s:,.0f} s" if age_s > UPDATE_AGE_S else None

    return reason


class _Growth:
    """How much a count has grown within the last ten minutes; what makes it smaller meanwhile does not count."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last: int | None = None
        self._came: deque[tuple[float, int]] = deque()

    def by(self, count: int | None) -> int:
        now = self._clock()
        if count is not None:
            if self._last is not None and count > self._last:
                self._came.append((now, count - self._last))
            self._last = count
        while self._came and now - self._came[0][0] > GREW_WITHIN_S:
            self._came.popleft()
        return sum(grown for _, grown in self._came)


class LettersGrew:
    """Wrong while `LETTERS_GREW_BY` dead letters or more have come within the last ten minutes.

    Letters that an admin sends again or discards meanwhile do not count against those that came.
    """

    def __init__(self, count: Reading[int], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._count = count
        self._growth = _Growth(clock)

    def __call__(self) -> str | None:
        count = self._count.value
        came = self._growth.by(count)
        if came < LETTERS_GREW_BY:
            return None
        return f"{came:,} in the last {GREW_WITHIN_S / 60:.0f} minutes, {self._count.value or 0:,} in all: see /letters"


class CallsOutdated:
    """Wrong while calls come so late that they are no news: nobody gets them."""

    def __init__(self, count: Callable[[], int], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._count = count
        self._growth = _Growth(clock)
        self._growth.by(0)

    def __call__(self) -> str | None:
        came = self._growth.by(self._count())
        if came < OUTDATED:
            return None
        return (
            f"{came:,} in the last {GREW_WITHIN_S / 60:.0f} minutes were made more than ten minutes before they came; "
            "nobody was told of them"
        )


def clocks_wrong(own: Callable[[], float | None], others: Callable[[], Iterable[Member]]) -> Condition:
    """`own`: how much later this machine's clock is than the truth, if it is wrong."""

    def reason() -> str | None:
        wrong = {"this machine's clock": own()}
        wrong |= {f"the clock of {one.owner}": one.clock_wrong_by_s for one in others()}
        told = [f"{whose} is {show_difference(by_s)}" for whose, by_s in wrong.items() if by_s is not None]
        return f"{'; '.join(told)}: corrected, but set it right" if told else None

    return reason


def show_difference(by_s: float) -> str:
    return f"{abs(by_s):,.0f} s {'ahead' if by_s > 0 else 'behind'}"
