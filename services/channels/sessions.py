"""Channels followed by accounts: every post as it comes, in order, without a gap.

A post that does not follow on the last one that was read is not taken by itself: what lies between is fetched first. So
a post is lost neither to a gap nor to `ChannelDifferenceTooLong`, of which the library tells nobody. Every few minutes
a channel is looked back at, for what nobody was told of.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import structlog

from domain.channels.patience import CLOSED_AGAIN_S, FAILED_AGAIN_S
from domain.posts.post import Post
from managers.channels.base import (
    AccountLostError,
    BlockedError,
    ChannelClosedError,
    ListeningAccount,
)
from runtime.cancellation import end, stop_if_cancelled
from runtime.errors import TransientError
from runtime.waiting import Progress
from services.channels.accounts import UNFIT_S, AccountsService, Listening, share
from services.channels.listed import ListedChannels
from services.channels.looking import LookCounts, Looks
from services.channels.paging import Reading
from services.channels.rows import ReadChannel, ReadElsewhereError
from services.channels.turns import ChannelTurns
from services.cluster.leases import Leases

log = structlog.get_logger(__name__)

SWEEP_EVERY_S: Final = 180.0
SWEEPS_PER_S: Final = 0.5
"""Of one account: half of what it may ask is left to gaps."""
MAX_HEARD: Final = 200
"""Posts of a channel that wait; beyond that they are fetched when their turn has come."""
MAX_GAPS: Final = 3
"""So often a post that is told but not shown is waited for."""
GAP_AGAIN_S: Final = 1.0
_PLAN_EVERY_S: Final = 15.0
_TURN_S: Final = 1.0
_REST_S: Final = 0.5


class SessionCounts(LookCounts):
    heard: int = 0
    """Posts and edits that came by themselves."""
    sweeps: int = 0
    gaps: int = 0


@dataclass(slots=True, eq=False)
class _Followed:
    row: ReadChannel
    by: Listening
    sweep_at: float = 0.0
    """Loop time."""
    heard: list[Post] = field(default_factory=list[Post])
    """Not taken yet, in the order in which they came."""
    has_gap: bool = False
    """What was heard does not follow on what was read: what lies between has to be fetched first."""
    gaps: int = 0
    """How often in a row a page did not show it."""
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class SessionsService:
    def __init__(
        self,
        *,
        accounts: Sequence[ListeningAccount],
        turns: ChannelTurns,
        listed: ListedChannels,
        leases: Leases,
        clock: Callable[[], datetime],
        rests: Callable[[], bool] = lambda: False,
    ) -> None:
        """`rests`: whether nothing is to be read for now."""
        self.accounts: Final = AccountsService(
            accounts=accounts, leases=leases, clock=clock, heard=self._hear, changed=self.wake
        )
        self._turns = turns
        self._listed = listed
        self._clock = clock
        self._rests = rests
        self._followed: dict[str, _Followed] = {}
        self._wake = asyncio.Event()
        self.counts = SessionCounts()
        self._looks = Looks(self.counts, clock)

    def wake(self) -> None:
        """Look at once who follows what."""
        self._wake.set()

    async def run(self, progress: Progress) -> None:
        """Follow, for ever."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.accounts.run(progress), name="accounts")
                while True:
                    stop_if_cancelled()
                    self._wake.clear()
                    await self._plan(group)
                    await self._until_woken(progress)
        finally:
            for name in list(self._followed):
                self._turns.unfollow(name)
            self._followed.clear()

    async def _until_woken(self, progress: Progress) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + _PLAN_EVERY_S
        while not self._wake.is_set() and loop.time() < until:
            progress()
            await _waited(self._wake, _TURN_S)

    async def _plan(self, group: asyncio.TaskGroup) -> None:
        """Divide what is listed among the accounts that listen."""
        try:
            channels = await self._listed.to_read()
        except TransientError as error:
            log.warning("channels_unavailable", reason=str(error))
            return
        now_s, living = asyncio.get_running_loop().time(), self.accounts.living
        owners = {name: owner for name in channels if (owner := share(name, living, now_s))}
        for name, one in list(self._followed.items()):
            if owners.get(name) is not one.by:
                await self._leave(name, one)
        for name, owner in owners.items():
            if name not in self._followed:
                one = self._followed[name] = _Followed(channels[name], owner)
                one.task = group.create_task(self._follow(one), name=f"follow {name}")

    async def _leave(self, name: str, one: _Followed) -> None:
        self._followed.pop(name, None)
        if one.task is not None:
            await end([one.task])
        self._turns.unfollow(name)

    def _hear(self, by: Listening, channel: str, post: Post | None) -> None:
        one = self._followed.get(channel)
        if one is None or one.by is not by:
            return
        self.counts.heard += 1
        if post is None:
            self.counts.unreadable += 1
            one.sweep_at = 0.0
        elif len(one.heard) < MAX_HEARD:
            one.heard.append(post)
        else:
            one.has_gap, one.sweep_at = True, 0.0
        one.wake.set()

    async def _follow(self, one: _Followed) -> None:
        """Take what comes in one channel. Whatever happens to it happens to no other."""
        name, by = one.row.channel, one.by
        while True:
            stop_if_cancelled()
            await self._until_due(one)
            try:
                await (self._take(one) if one.heard and not one.has_gap else self._sweep(one))
            except AccountLostError as error:
                by.lost(error)
                self._fail(one, FAILED_AGAIN_S)
            except BlockedError as error:
                self.counts.blocked += 1
                by.block(error)
                self._fail(one, 0.0)
            except ChannelClosedError as error:
                log.info("channel_closed_to_account", channel=name, account=by.name, reason=str(error))
                self._misfit(one)
                self._fail(one, CLOSED_AGAIN_S)
            except ReadElsewhereError as error:
                log.info("channel_read_elsewhere", reason=str(error))
                self._turns.forget(name)
                await self._reread(one)
            except TransientError as error:
                stop_if_cancelled()
                log.warning("channel_not_followed", channel=name, account=by.name, reason=str(error))
                self.counts.failed += 1
                self._fail(one, FAILED_AGAIN_S)

    async def _until_due(self, one: _Followed) -> None:
        loop = asyncio.get_running_loop()
        while True:
            one.wake.clear()
            due_at = max(one.sweep_at, one.by.blocked_until)
            if self._rests():
                await asyncio.sleep(_REST_S)
            elif (one.heard and not one.has_gap) or due_at <= loop.time():
                return
            else:
                await _waited(one.wake, due_at - loop.time())

    async def _take(self, one: _Followed) -> None:
        posts = list(one.heard)
        after = await self._turns.take_next(one.row, posts)
        if after is None and one.gaps >= MAX_GAPS:
            # Nobody shows what lies between: it was deleted, or is no post.
            after = await self._turns.take(one.row, Reading(posts=posts))
        if after is None:
            self.counts.gaps += 1
            one.has_gap, one.gaps = True, one.gaps + 1
            one.sweep_at = asyncio.get_running_loop().time() + (GAP_AGAIN_S if one.gaps > 1 else 0.0)
            return
        del one.heard[: len(posts)]
        one.row, one.gaps = after, 0

    async def _sweep(self, one: _Followed) -> None:
        """Read back to what was read before. What was heard until then and stands on a page is told there as it is."""
        name, account = one.row.channel, one.by.account
        heard = len(one.heard)
        self.counts.sweeps += 1
        reading = await self._looks.read(account, name, one.row.read_to)
        posts = reading.posts
        one.row = await self._turns.take(one.row, reading)
        lowest, highest = (posts[0].number, posts[-1].number) if posts else (0, -1)
        one.heard[:heard] = [post for post in one.heard[:heard] if not lowest <= post.number <= highest]
        one.has_gap = False
        one.sweep_at = asyncio.get_running_loop().time() + self._sweep_every_s(one.by)
        if account.is_told_of(name):
            self._turns.follow(name)
        else:
            self._turns.unfollow(name)
            self._misfit(one)
        if one.row.problem is not None:
            one.row = await self._listed.noted(one.row, None)

    def _sweep_every_s(self, by: Listening) -> float:
        channels = sum(one.by is by for one in self._followed.values())
        return max(SWEEP_EVERY_S, channels / SWEEPS_PER_S)

    def _misfit(self, one: _Followed) -> None:
        """Let another account have it, if one is told of it."""
        channel, now_s = one.row.channel, asyncio.get_running_loop().time()
        one.by.unfit[channel] = now_s + UNFIT_S
        if any(by.unfit.get(channel, 0.0) <= now_s for by in self.accounts.living):
            self.wake()

    def _fail(self, one: _Followed, again_s: float) -> None:
        """Until it is read again, it is not known whether anything was missed."""
        self._turns.unfollow(one.row.channel)
        one.sweep_at = asyncio.get_running_loop().time() + again_s

    async def _reread(self, one: _Followed) -> None:
        try:
            one.row = await self._listed.find(one.row.channel) or one.row
        except TransientError as error:
            log.warning("channels_unavailable", reason=str(error))
            self._fail(one, FAILED_AGAIN_S)
        else:
            one.sweep_at = 0.0


async def _waited(event: asyncio.Event, for_s: float) -> None:
    try:
        async with asyncio.timeout(for_s):
            await event.wait()
    except TimeoutError:
        return
