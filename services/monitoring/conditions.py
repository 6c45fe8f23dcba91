"""When something is wrong that an admin should know of. Each condition gives the reason while it is, else `None`.

The words are in `texts/`, as `alarm.…`: a condition names the text and what goes into it.
"""

from __future__ import annotations

import shutil
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from domain.calls.lifetimes import FRESH_FOR
from managers.feed.websocket import FeedHealth
from services.cluster.members import Member, Members, Role
from services.monitoring.readings import Reading
from services.stores.database import DatabaseStatus
from services.stores.journal import JournalLag
from texts.renderer import Texts


class Reason(Struct, frozen=True):
    """A text and its arguments."""

    key: str
    arguments: Mapping[str, str]
    about: tuple[str, ...] = ()
    """What it concerns, where one alarm is for many: each of them is told once, also while the alarm stands."""


class Said(Struct, frozen=True):
    """What another process says."""

    words: str
    parts: Mapping[str, str]
    """By what they concern."""


Reasons = str | Reason | tuple[Reason, ...] | Said
"""A string is what a part says of itself: the message of a driver or of a server."""
Condition = Callable[[], Reasons | None]

FULL_SHARE: Final = 0.8
JOURNAL_AGE_S: Final = 60.0
UPDATE_AGE_S: Final = 60.0
"""Twice as long as all that one person may have waiting takes at the pace that Telegram allows."""
MINUTE: Final = timedelta(minutes=1)
MIB: Final = 1 << 20
ELSEWHERE: Final = " @ "
"""Between the name of an alarm and the process that it is about, where that is another one."""
DISK_FREE_BYTES: Final = 512 * MIB
DISK_FREE_SHARE: Final = 0.05
"""Less than both is an alarm."""
GREW_WITHIN_S: Final = 600.0
_MINUTES: Final = f"{GREW_WITHIN_S / 60:.0f}"
DEAD_LETTERS_GREW_BY: Final = 5
"""So few that one fault of ours shows, so many that a subscriber who blocks the bot is no alarm."""
OUTDATED: Final = 5
NAMED: Final = 8
"""People whose ids an alarm gives."""
NAMED_AT_ONCE: Final = 3
"""Of what one message is about; the others are counted."""
MOST_COUNTED: Final = 100
"""Of what has no name: so many are told one by one."""


def because(key: str, /, **arguments: str) -> Reason:
    return Reason(key, arguments)


def about(subjects: str | Iterable[str], reason: Reason) -> Reason:
    """Say what `reason` concerns."""
    return replace(reason, about=(subjects,) if isinstance(subjects, str) else tuple(subjects))


def each_of(count: int) -> list[str]:
    """What a reason concerns that has no names, and is counted."""
    return [f"#{number}" for number in range(1, min(count, MOST_COUNTED) + 1)]


def in_words(reasons: Reasons, texts: Texts) -> str:
    """Render what a condition gave, as plain text from outside."""
    match reasons:
        case str():
            return reasons
        case Reason(key, arguments):
            return texts.plain(key, **arguments)
        case Said(words, _):
            return words
        case _:
            return listed(reasons, texts)


def listed(reasons: Sequence[Reasons], texts: Texts) -> str:
    """Join what is said of many; of more than a few the rest is counted."""
    named, more = [in_words(one, texts) for one in reasons[: NAMED_AT_ONCE + 1]], len(reasons) - NAMED_AT_ONCE - 1
    return "; ".join([*named, texts.plain("alarm.more", count=f"{more:,}")] if more > 0 else named)


def parts_of(reasons: Reasons) -> dict[str, Reasons]:
    """What is said of each thing that reasons concern."""
    match reasons:
        case str():
            return {}
        case Reason(_, _, subjects):
            return dict.fromkeys(subjects, reasons)
        case Said(_, parts):
            return dict(parts)
        case _:
            return {subject: said for one in reasons for subject, said in parts_of(one).items()}


def settings_unreadable(standing: Callable[[], Sequence[int]]) -> Condition:
    """`standing`: the ids of the people."""

    def reason() -> Reason | None:
        people = standing()
        if not people:
            return None
        ids = ", ".join(map(str, people[:NAMED]))
        said = because("alarm.settings_unreadable", count=f"{len(people):,}", people=ids)
        return about(map(str, people), said)

    return reason


def queue_filling(size: Callable[[], int], capacity: int) -> Condition:
    def reason() -> Reason | None:
        waiting = size()
        if waiting < FULL_SHARE * capacity:
            return None
        return because("alarm.queue_filling", waiting=f"{waiting:,}", capacity=f"{capacity:,}")

    return reason


def journal_behind(lag: Callable[[], JournalLag | None]) -> Condition:
    """`lag`: as last seen; `None` while Redis is unavailable, which is an alarm of its own."""

    def reason() -> Reason | None:
        known = lag()
        if known is None or known.age_s <= JOURNAL_AGE_S:
            return None
        return because("alarm.journal_behind", entries=f"{known.entries:,}", seconds=f"{known.age_s:,.0f}")

    return reason


def disk_filling(path: Path) -> Condition:
    """Before it is full, so that somebody can do something; and when it cannot be asked."""

    def reason() -> Reason | None:
        try:
            usage = shutil.disk_usage(path)
        except OSError as error:
            return because("alarm.disk_unusable", path=str(path), problem=error.strerror or "")
        if usage.free >= min(DISK_FREE_BYTES, DISK_FREE_SHARE * usage.total):
            return None
        free, total = f"{usage.free / MIB:,.1f}", f"{usage.total / MIB:,.0f}"
        return because("alarm.disk_filling", free=free, total=total, path=str(path))

    return reason


def data_lost(standing: Callable[[], DatabaseStatus | None]) -> Condition:
    """`standing`: as last seen; `None` while it cannot be told."""

    def reason() -> str | None:
        known = standing()
        return known.problem if known else None

    return reason


def unanswered(reading: Reading[object]) -> Condition:
    return lambda: reading.problem


def flagged(is_so: Callable[[], bool], reason: Reason) -> Condition:
    """For whatever knows about itself whether it is well."""
    return lambda: reason if is_so() else None


def while_so(is_so: Callable[[], bool], condition: Condition) -> Condition:
    """Nothing is wrong where this process is not the one it concerns."""
    return lambda: condition() if is_so() else None


def feed_silent(health: Callable[[], FeedHealth]) -> Condition:
    """Nothing has come for longer than this feed may be silent, connected or not."""

    def reason() -> Reason | None:
        feed = health()
        if not feed.stale:
            return None
        if feed.data_age_s is None:
            return because("alarm.feed_silent_yet", source=feed.source) if feed.connected else None
        return because("alarm.feed_silent", source=feed.source, seconds=f"{feed.data_age_s:,.0f}")

    return reason


def feed_away(health: Callable[[], FeedHealth]) -> Condition:
    def reason() -> Reason | None:
        feed = health()
        if feed.connected:
            return None
        if feed.last_problem:
            return because("alarm.feed_lost", source=feed.source, problem=feed.last_problem)
        return because("alarm.feed_not_connected", source=feed.source)

    return reason


def nobody_answered(*problems: Callable[[], str | None]) -> Condition:
    """Each of `problems` says why people who write to the bot get no answer, if it knows so."""
    return lambda: next((reason for problem in problems if (reason := problem())), None)


def updates_waiting(oldest_age_s: Callable[[], float], waiting: Callable[[], int]) -> Condition:
    def reason() -> Reason | None:
        age_s = oldest_age_s()
        if age_s <= UPDATE_AGE_S:
            return None
        return because("alarm.updates_waiting", waiting=f"{waiting():,}", seconds=f"{age_s:,.0f}")

    return reason


class Growth:
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


class DeadLettersGrew:
    """Wrong while `DEAD_LETTERS_GREW_BY` dead letters or more have come within the last ten minutes.

    Letters that an admin sends again or discards meanwhile do not count against those that came.
    """

    def __init__(self, count: Reading[int], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._count = count
        self._growth = Growth(clock)

    def __call__(self) -> Reason | None:
        count = self._count.value
        came = self._growth.by(count)
        if came < DEAD_LETTERS_GREW_BY:
            return None
        return because(
            "alarm.dead_letters_grew", came=f"{came:,}", minutes=_MINUTES, total=f"{self._count.value or 0:,}"
        )


class CallsOutdated:
    """Wrong while calls come so late that they are no news: nobody gets them."""

    def __init__(self, count: Callable[[], int], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._count = count
        self._growth = Growth(clock)
        self._growth.by(0)

    def __call__(self) -> Reason | None:
        came = self._growth.by(self._count())
        if came < OUTDATED:
            return None
        return because("alarm.calls_outdated", came=f"{came:,}", minutes=_MINUTES, fresh=f"{FRESH_FOR / MINUTE:.0f}")


_CLOCK: Final = {True: "alarm.clock_ahead", False: "alarm.clock_behind"}
_OWN_CLOCK: Final = {True: "alarm.own_clock_ahead", False: "alarm.own_clock_behind"}


def clocks_wrong(own: Callable[[], float | None], others: Callable[[], Iterable[Member]]) -> Condition:
    """`own`: how much later this machine's clock is than the truth, if it is wrong."""

    def reason() -> tuple[Reason, ...] | None:
        wrong: list[Reason] = []
        if (by_s := own()) is not None:
            wrong.append(about("this machine", because(_OWN_CLOCK[by_s > 0], seconds=f"{abs(by_s):,.0f}")))
        wrong.extend(
            about(one.owner, because(_CLOCK[by_s > 0], process=one.owner, seconds=f"{abs(by_s):,.0f}"))
            for one in others()
            if (by_s := one.clock_wrong_by_s) is not None
        )
        return tuple(wrong) or None

    return reason


def alarms_elsewhere(members: Members) -> dict[str, Reasons]:
    """What other processes say is wrong with them, by a name that says where."""
    return {
        f"{name}{ELSEWHERE}{member.owner}": Said(reason, parts) if (parts := member.alarm_parts.get(name)) else reason
        for member in members.living()
        if member.owner != members.owner
        for name, reason in member.alarms.items()
    }


def roles_missing(members: Members) -> Condition:
    """Whoever talks to admins tells them when a part of the work is nobody's."""
    roles: tuple[Role, ...] = ("ingest", "match", "send", "track")

    def reason() -> Reason | None:
        missing = [role for role in roles if not members.living(role)]
        return about(missing, because("alarm.roles_missing", roles=", ".join(missing))) if missing else None

    return reason
