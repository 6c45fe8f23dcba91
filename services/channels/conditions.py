"""When something is wrong with reading channels that an admin should know of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from domain.posts.reasons import Reason as PostReason
from services.channels.rows import ReadChannel, Unresolved
from services.monitoring.conditions import Condition, Reason, Reasons, about, because
from services.monitoring.readings import Reading

BLOCKED_AFTER_S: Final = 300.0
UNREADABLE_AFTER: Final = timedelta(minutes=10)
"""A page that could not be read once is asked for again; what the other side says of a channel counts at once."""
SILENT_S: Final = 60.0
SILENT_LOOKS: Final = 3
"""Nothing was read for so long, and for so many times the shortest time between two looks."""
MANY_UNRESOLVED: Final = 20
WAITS: Final = timedelta(minutes=5)
UNREADABLE: Final = "unreadable"


class Blocked(NamedTuple):
    since: datetime
    reason: str


def blocked(state: Callable[[], Blocked | None]) -> Condition:
    def reason() -> Reason | None:
        known = state()
        if known is None:
            return None
        return because("alarm.channels_blocked", since=f"{known.since:%H:%M}", problem=known.reason)

    return reason


def closed(listed: Callable[[], Sequence[ReadChannel]], clock: Callable[[], datetime]) -> Condition:
    """Channels of which the other side says that they cannot be read, or whose pages nobody has understood for long."""

    def reason() -> Reasons | None:
        channels, now = listed(), clock()
        wrong = [one for one in channels if _is_closed(one, now)]
        if not wrong:
            return None
        named = (
            about(one.channel, because(f"alarm.channel.{one.problem}", channel=one.channel, now=one.moved_to or "?"))
            for one in wrong
        )
        count, total = f"{len(wrong):,}", f"{len(channels):,}"
        return (because("alarm.channels_closed", count=count, total=total), *named)

    return reason


def _is_closed(one: ReadChannel, now: datetime) -> bool:
    if one.problem is None:
        return False
    return one.problem != UNREADABLE or (one.problem_since is not None and now - one.problem_since > UNREADABLE_AFTER)


def calls_no_more(
    channels: Callable[[], Sequence[ReadChannel]], silent: Callable[[str], PostReason | None]
) -> Condition:
    """Channels that used to call, post as before, and call nothing: they have changed how they write."""

    def reason() -> Reasons | None:
        found = ((one.channel, miss) for one in channels() if (miss := silent(one.channel)) is not None)
        named = (about(channel, because(f"alarm.silent.{miss}", channel=channel)) for channel, miss in found)
        return tuple(named) or None

    return reason


def stalls(silent_s: Callable[[], tuple[float, float]]) -> Condition:
    """`silent_s`: seconds since anybody answered for any channel, and the shortest time between two looks."""

    def reason() -> Reason | None:
        seconds, shortest = silent_s()
        if seconds <= max(SILENT_S, SILENT_LOOKS * shortest):
            return None
        return because("alarm.channels_stall", seconds=f"{seconds:,.0f}", rhythm=f"{shortest:,.0f}")

    return reason


def unresolved_wait(waiting: Reading[Unresolved], clock: Callable[[], datetime]) -> Condition:
    """Many calls wait for a provider to say what token they mean, the oldest for long."""

    def reason() -> Reason | None:
        known = waiting.value
        if known is None or known.since is None or known.calls < MANY_UNRESOLVED:
            return None
        age = clock() - known.since
        if age < WAITS:
            return None
        return because("alarm.calls_unresolved", calls=f"{known.calls:,}", minutes=f"{age / timedelta(minutes=1):,.0f}")

    return reason


def problems(listed: Iterable[ReadChannel]) -> dict[str, float]:
    """Count channels that cannot be read, by why."""
    counted = Counter(one.problem for one in listed if one.problem is not None)
    return {problem: float(count) for problem, count in counted.items()}
