"""Reading channels in turn: each as often as it is worth, all within the budget, and none while we are refused.

What was posted while nobody read is paged back to, as long as the other side shows it.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, get_args

import structlog

from domain.channels.blocks import Block, wait_s
from domain.channels.pace import PostRate, intervals_s
from domain.channels.patience import CLOSED_AGAIN_S, DOUBTED_AGAIN_S, Patience
from managers.channels.base import BlockedError, ChannelClosedError, ChannelReader, Closed, NotServedError
from managers.http.answers import ForeignAnswerError
from runtime.cancellation import stop_if_cancelled
from runtime.errors import TransientError
from runtime.waiting import Progress, pause
from services.channels.listed import ListedChannels
from services.channels.looking import LookCounts, Looks
from services.channels.rows import ReadChannel, ReadElsewhereError
from services.channels.turns import ChannelTurns

log = structlog.get_logger(__name__)

AT_ONCE: Final = 8
SLOW_AT_ONCE: Final = AT_ONCE // 2
"""Of those whose pages took long the last time."""
AT_MOST_S: Final = 300.0
"""So often even the quietest channel is looked at, where the budget allows it."""
AT_MOST_TURNS: Final = 1.2
"""Likewise, in times of what it would take to look at one channel after the other: who is quiet waits little longer."""
AHEAD: Final = timedelta(minutes=1)
"""What is dated later than that says nothing of how often a channel posts, nor of how late it is read."""
CHECK_EVERY_S: Final = 300.0
"""So often a channel is looked at of whose posts somebody else is told at once."""
CLOSED: Final = frozenset(get_args(Closed))
KEPT_AGES: Final = 2_000
_TURN_S: Final = 0.05
_LEFT_OVER: Final = 1.01
_PLAN_EVERY_S: Final = 15.0
_JITTER: Final = 0.1


class PollCounts(LookCounts):
    looks: int = 0


@dataclass(slots=True)
class _Polled:
    channel: ReadChannel
    rate: PostRate = field(default_factory=PostRate)
    interval_s: float = AT_MOST_S
    due_at: float = 0.0
    """Loop time."""
    looked_at: float = -math.inf
    """Likewise."""
    is_read: bool = False
    """Somebody is at it."""
    blocks: int = 0
    """How often in a row it was refused while others were not."""
    patience: Patience = field(default_factory=Patience)


class PollingService:
    def __init__(
        self,
        *,
        reader: ChannelReader,
        turns: ChannelTurns,
        listed: ListedChannels,
        requests_per_s: float,
        at_least_s: float,
        clock: Callable[[], datetime],
        rests: Callable[[], bool] = lambda: False,
    ) -> None:
        """`turns` is shared with whoever else reads these channels.

        `at_least_s`: no channel is looked at more often. `rests`: whether nothing is to be read for now.
        """
        self._reader = reader
        self._turns = turns
        self._listed = listed
        self._requests_per_s = requests_per_s
        self._at_least_s = at_least_s
        self._clock = clock
        self._rests = rests
        self._polled: dict[str, _Polled] = {}
        self._planned_at = -math.inf
        self._free_at = 0.0
        """Loop time from which on the budget has room again."""
        self._paged_back = False
        """The latest request went to a page further back."""
        self._block = Block()
        self._followed = 0
        """Channels that somebody listened to when it was planned."""
        self._progress: Progress = lambda: None
        self._answered_at = 0.0
        """Loop time at which somebody said something of a channel, or had nothing to say because nobody asked."""
        self.counts = PollCounts()
        self.ages_s: list[float] = []
        """Of the latest posts when they were read, the latest last."""
        self._looks: Final = Looks(self.counts, clock, room=self._room, answered=self._note_answered)

    async def run(self, progress: Progress) -> None:
        """Read for ever."""
        self._progress = progress
        self._polled.clear()
        self._answered_at = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as group:
            while True:
                stop_if_cancelled()
                progress()
                await self._plan()
                for one in self._due():
                    one.is_read = True
                    group.create_task(self._look(one), name=f"read {one.channel.channel}")
                await asyncio.sleep(_TURN_S)

    def wake(self) -> None:
        """Look at the list again at once."""
        self._planned_at = -math.inf

    def interval_of(self, channel: str) -> float | None:
        """Seconds between two looks at a channel by now."""
        polled = self._polled.get(channel)
        return polled.interval_s if polled else None

    def listed(self) -> list[ReadChannel]:
        """What is read here, as it was when it was last looked at."""
        return [one.channel for one in self._polled.values()]

    def silent_s(self) -> tuple[float, float]:
        """Seconds since the other side answered for any channel, and the shortest time between two looks at one."""
        if not self._polled:
            return 0.0, 0.0
        shortest = min(map(self._expected_s, self._polled.values()))
        return asyncio.get_running_loop().time() - self._answered_at, shortest

    @property
    def blocked_since(self) -> datetime | None:
        return self._block.since

    @property
    def blocked_because(self) -> str:
        return self._block.because

    def _expected_s(self, one: _Polled) -> float:
        if one.channel.problem in CLOSED:
            return CLOSED_AGAIN_S
        return CHECK_EVERY_S if self._turns.is_followed(one.channel.channel) else one.interval_s

    async def _plan(self) -> None:
        """Take up what is listed, and say how often each is looked at."""
        loop_s = asyncio.get_running_loop().time()
        followed = self._turns.followed
        if loop_s - self._planned_at < _PLAN_EVERY_S and followed == self._followed:
            return
        try:
            channels = await self._listed.to_read()
        except TransientError as error:
            log.warning("channels_unavailable", reason=str(error))
            await pause(1.0, self._progress)
            return
        self._planned_at = loop_s
        self._followed = followed
        for name in self._polled.keys() - channels.keys():
            del self._polled[name]
        for name, channel in channels.items():
            polled = self._polled.get(name)
            if polled is None:
                self._polled[name] = _Polled(channel)
            elif not polled.is_read and channel.revision >= polled.channel.revision:
                polled.channel = channel
        self._spread()

    def _spread(self) -> None:
        now = self._clock()
        rates = {name: one.rate.per_s(now) for name, one in self._polled.items() if not self._turns.is_followed(name)}
        intervals = intervals_s(
            rates,
            requests_per_s=self._requests_per_s,
            at_least_s=self._at_least_s,
            at_most_s=min(AT_MOST_S, AT_MOST_TURNS * len(rates) / self._requests_per_s),
        )
        for name, interval_s in intervals.items():
            self._polled[name].interval_s = interval_s

    def _due(self) -> Sequence[_Polled]:
        """Return who is to be looked at now: who waits longest, as many as the budget and the connections allow."""
        now_s = asyncio.get_running_loop().time()
        if self._is_quiet(now_s) or not self._polled:
            self._answered_at = now_s
            return ()
        if now_s < self._free_at:
            return ()
        allowed = max(1, round(self._requests_per_s * _TURN_S))
        due = self._waiting(now_s)[: max(0, min(self._places(), allowed))]
        if due:
            self._paged_back = False
        self._spend(len(due))
        return due

    def _is_quiet(self, now_s: float) -> bool:
        return self._rests() or self._block.is_on(now_s)

    def _places(self) -> int:
        return (1 if self._block.needs_probe else AT_ONCE) - self._at_it()

    def _at_it(self, *, slow: bool = False) -> int:
        return sum(one.is_read and (one.patience.is_slow or not slow) for one in self._polled.values())

    def _waiting(self, now_s: float) -> list[_Polled]:
        """Return who may be looked at, who waits longest first; the slow ones as far as there are places for them."""
        due = [one for one in self._polled.values() if not one.is_read and self._due_at(one) <= now_s]
        due.sort(key=self._due_at)
        slow = [one for one in due if one.patience.is_slow][max(0, SLOW_AT_ONCE - self._at_it(slow=True)) :]
        return [one for one in due if one not in slow] if slow else due

    def _due_at(self, one: _Polled) -> float:
        if not self._turns.is_followed(one.channel.channel):
            return one.due_at
        return max(one.due_at, one.looked_at + CHECK_EVERY_S)

    def _spend(self, requests: int) -> None:
        """A turn that comes late is no request less; what is left over keeps every minute within the budget."""
        now_s = asyncio.get_running_loop().time()
        self._free_at = max(self._free_at, now_s - _TURN_S) + _LEFT_OVER * requests / self._requests_per_s

    async def _room(self) -> None:
        """Wait until the budget has room for one request more, and take it.

        Where it is short and channels wait to be looked at, every other request is theirs: a long way back holds nobody
        up.
        """
        is_short = False
        while (wait_s := self._free_at - asyncio.get_running_loop().time()) > 0 or (
            is_short and self._is_others_turn()
        ):
            is_short = True
            await asyncio.sleep(wait_s if wait_s > 0 else _TURN_S)
        self._paged_back = True
        self._spend(1)

    def _is_others_turn(self) -> bool:
        now_s = asyncio.get_running_loop().time()
        can_look = self._paged_back and self._places() > 0 and not self._is_quiet(now_s)
        return can_look and bool(self._waiting(now_s))

    async def _look(self, one: _Polled) -> None:
        """Read a channel once. Whatever happens to it happens to no other."""
        again_s = one.interval_s * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - jitter is no secret
        if self._turns.is_followed(one.channel.channel):
            again_s = 0.0  # it is due as soon as nobody listens to it any more
        self.counts.looks += 1
        try:
            await self._read(one)
        except BlockedError as error:
            again_s = max(again_s, self._note_refused(one, error))
        except ChannelClosedError as error:
            again_s = await self._note_closed(one, error)
        except ReadElsewhereError as error:
            log.info("channel_read_elsewhere", reason=str(error))
            self._turns.forget(one.channel.channel)
            self.wake()
            again_s = self._at_least_s
        except TransientError as error:
            stop_if_cancelled()
            self.counts.failed += 1
            log.warning("channel_unread", channel=one.channel.channel, reason=str(error))
            again_s = max(again_s, self._note_failed(one, error))
            await self._note(one, "unreadable")
        finally:
            one.looked_at = asyncio.get_running_loop().time()
            one.due_at = one.looked_at + max(again_s, one.patience.slow_wait_s)
            one.is_read = False

    async def _read(self, one: _Polled) -> None:
        was, now = one.channel.read_to, self._clock()
        reading = await self._looks.read(self._reader, one.channel.channel, was, took=one.patience.took)
        one.blocks = 0
        one.channel = await self._turns.check(one.channel, reading)
        one.patience.read()
        # Of a channel that was read before the start, the first page says how often it posts.
        is_unknown = one.rate.is_unknown
        for post in reading.posts:
            if post.posted_at > now + AHEAD:
                continue
            if is_unknown or was is None or post.number > was:
                one.rate.note(post.posted_at)
            if was is not None and post.number > was:
                self.ages_s.append((now - post.posted_at).total_seconds())
        del self.ages_s[:-KEPT_AGES]
        if one.channel.problem is not None:
            await self._note(one, None)

    async def _note(self, one: _Polled, problem: str | None, moved_to: str | None = None) -> None:
        if problem is not None and self._turns.is_followed(one.channel.channel):
            return
        try:
            one.channel = await self._listed.noted(one.channel, problem, moved_to=moved_to)
        except TransientError as error:
            log.warning("channel_problem_unnoted", channel=one.channel.channel, reason=str(error))

    async def _note_closed(self, one: _Polled, error: ChannelClosedError) -> float:
        """Return how long the channel is left alone."""
        self._answered_at = asyncio.get_running_loop().time()
        if one.patience.doubts(error.why, error.now) and one.channel.problem != error.why:
            self.counts.failed += 1
            log.warning("channel_doubted", channel=one.channel.channel, reason=str(error))
            return DOUBTED_AGAIN_S
        await self._note(one, error.why, error.now)
        return one.patience.closed()

    def _note_failed(self, one: _Polled, error: TransientError) -> float:
        """Likewise; where several are answered without a page in a row, it is the other side that refuses us."""
        if isinstance(error, NotServedError | ForeignAnswerError):
            now_s, channels = asyncio.get_running_loop().time(), len(self._polled)
            self._block.unserved(one.channel.channel, str(error), channels=channels, now_s=now_s, now=self._clock())
        return one.patience.failed()

    def _note_refused(self, one: _Polled, error: BlockedError) -> float:
        """Likewise; all are left alone where another look is refused before one is answered."""
        self.counts.blocked += 1
        now_s, is_only, because = asyncio.get_running_loop().time(), len(self._polled) == 1, str(error)
        if self._block.refused(because, for_s=error.for_s, is_only=is_only, now_s=now_s, now=self._clock()):
            log.warning("channels_blocked", reason=because)
            return 0.0
        one.blocks += 1
        log.warning("channel_refused", channel=one.channel.channel, reason=because)
        return wait_s(error.for_s, one.blocks - 1)

    def _note_answered(self) -> None:
        self._block.answered()
        self._answered_at = asyncio.get_running_loop().time()
