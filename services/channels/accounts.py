"""Accounts that listen: which of them do, which of them is whose, and what became of one that was lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from hashlib import blake2b
from typing import Final

import structlog

from domain.posts.post import Post
from managers.channels.base import AccountLostError, BlockedError, ListeningAccount
from runtime.cancellation import end, stop_if_cancelled
from runtime.errors import TransientError
from runtime.waiting import Progress, pause, reporting
from services.cluster.leases import Leases

log = structlog.get_logger(__name__)

FIRST_AGAIN_S: Final = 1.0
MAX_AGAIN_S: Final = 300.0
REST_LOOK_S: Final = 5.0
"""So often it is looked whether somebody has logged a lost account in again."""
UNFIT_S: Final = 3_600.0
"""As long a channel that an account is not told of is rather another's."""

HeardBy = Callable[["Listening", str, Post | None], None]


@dataclass(slots=True, eq=False)
class Listening:
    """An account, and how it is doing."""

    account: ListeningAccount
    is_connected: bool = False
    connections: int = 0
    """Since the start."""
    blocked_until: float = 0.0
    """Loop time until which Telegram wants to be asked nothing."""
    lost_since: datetime | None = None
    lost_because: str = ""
    broken: asyncio.Event = field(default_factory=asyncio.Event)
    """Somebody has found that it is lost."""
    unfit: dict[str, float] = field(default_factory=dict[str, float])
    """Channels it is not told of, and the loop time until which that is believed."""

    @property
    def name(self) -> str:
        return self.account.name

    def lost(self, error: AccountLostError) -> None:
        self.lost_because = str(error)
        self.broken.set()

    def block(self, error: BlockedError) -> None:
        """Obey, however long it is."""
        for_s = error.for_s if error.for_s is not None else MAX_AGAIN_S
        self.blocked_until = max(self.blocked_until, asyncio.get_running_loop().time() + for_s)
        log.warning("account_blocked", account=self.name, for_s=for_s, reason=str(error))


class AccountsService:
    """Keeps every account connected that this process may use."""

    def __init__(
        self,
        *,
        accounts: Sequence[ListeningAccount],
        leases: Leases,
        clock: Callable[[], datetime],
        heard: HeardBy,
        changed: Callable[[], None],
    ) -> None:
        """`changed` is told when an account begins to listen, or does not any more."""
        self.all: Final = [Listening(account) for account in accounts]
        self._leases = leases
        self._clock = clock
        self._heard = heard
        self._changed = changed

    @property
    def living(self) -> list[Listening]:
        return [one for one in self.all if one.is_connected]

    @property
    def lost(self) -> list[Listening]:
        return [one for one in self.all if one.lost_since]

    async def run(self, progress: Progress) -> None:
        """Keep them connected, for ever: each by the one process that holds its lease."""
        async with asyncio.TaskGroup() as group:
            for one in self.all:
                work = partial(self._keep, one)
                group.create_task(self._leases.lead(lease_of(one.name), work, progress), name=f"account {one.name}")

    async def _keep(self, one: Listening, progress: Progress) -> None:
        again_s = FIRST_AGAIN_S
        while True:
            stop_if_cancelled()
            progress()
            connections = one.connections
            try:
                await self._listen(one, progress)
            except AccountLostError as error:
                await self._rest(one, error, progress)
                again_s = FIRST_AGAIN_S
                continue
            except BlockedError as error:
                one.block(error)
            except TransientError as error:
                stop_if_cancelled()
                log.warning("account_not_connected", account=one.name, reason=str(error))
            again_s = FIRST_AGAIN_S if one.connections > connections else min(MAX_AGAIN_S, again_s * 2)
            blocked_s = one.blocked_until - asyncio.get_running_loop().time()
            await pause(max(again_s, blocked_s), progress)

    async def _listen(self, one: Listening, progress: Progress) -> None:
        """Connect, and come back when the connection has ended."""
        one.broken.clear()
        try:
            await reporting(one.account.open(partial(self._heard, one)), progress)
            one.connections += 1
            one.is_connected, one.lost_since = True, None
            log.info("account_listens", account=one.name)
            self._changed()
            await self._until_ended(one, progress)
        finally:
            if one.is_connected:
                one.is_connected = False
                self._changed()
            await one.account.close()

    async def _until_ended(self, one: Listening, progress: Progress) -> None:
        ended = asyncio.create_task(one.account.ended(), name=f"end of {one.name}")
        broken = asyncio.create_task(_is_set(one.broken), name=f"loss of {one.name}")
        try:
            await reporting(asyncio.wait({ended, broken}, return_when=asyncio.FIRST_COMPLETED), progress)
        finally:
            await end([ended, broken])
        error = None if ended.cancelled() else ended.exception()
        if one.broken.is_set():
            raise AccountLostError(one.lost_because)
        raise error or TransientError("the connection has ended")

    async def _rest(self, one: Listening, error: AccountLostError, progress: Progress) -> None:
        """Ask nothing any more until somebody has logged in anew."""
        one.lost_since, one.lost_because = one.lost_since or self._clock(), str(error)
        log.error("account_lost", account=one.name, reason=str(error))
        self._changed()
        stamp = one.account.stamp()
        while one.account.stamp() in {stamp, None}:
            await pause(REST_LOOK_S, progress)


async def _is_set(event: asyncio.Event) -> None:
    await event.wait()


def lease_of(account: str) -> str:
    return f"account {account}"


def share(channel: str, accounts: Iterable[Listening], now_s: float) -> Listening | None:
    """Say who of those that listen follows a channel: stays the same as long as they do."""
    order = sorted(accounts, key=lambda one: _weight(one.name, channel), reverse=True)
    fit = [one for one in order if one.unfit.get(channel, 0.0) <= now_s]
    return next(iter([*fit, *order]), None)


def _weight(account: str, channel: str) -> bytes:
    return blake2b(f"{account}\n{channel}".encode(), digest_size=8).digest()
