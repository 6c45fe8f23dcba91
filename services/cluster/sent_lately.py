"""What was sent lately, for whoever sends next: when a process takes over, Telegram's windows go on.

Each sender writes down once a second, when it hands over a partition, and when it ends, which of its own requests still
count, overall and by chat; and reads what the others have. So a successor knows the chats' windows as its predecessor
left them. After a hard kill the last second is missing: for as long as that may count in a private chat, nothing goes.
What a group got in that second stays unknown.

A moment is told by the sender's own monotonic clock, and when it wrote that by the clock of Redis.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from contextlib import suppress
from typing import Final, cast

import msgspec
import structlog
from msgspec import Struct

from managers.redis.client import RedisManager, RedisUnavailableError, Reply
from managers.redis.scripts import Script, packed, raw
from managers.telegram.send_slots import ChatId, SlotScheduler
from runtime.cancellation import stop_if_cancelled
from runtime.waiting import Progress
from services.stores import keys

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

WRITTEN_EACH_S: Final = 1.0
_LAST_ANSWERS_S: Final = 2.0
_POLL_S: Final = 0.02
_LATE_S: Final = 0.5
"""A process that is busy writes later."""

_EXCHANGE: Final = Script.beside(__file__, "exchange_sent.lua")

Times = list[int]
"""Milliseconds, by the sender's monotonic clock."""


class SentLately(Struct, frozen=True, kw_only=True):
    instance: str
    """Different at every start."""
    owner: str
    """The same after a restart."""
    at: int
    """When this was written, as `Times` are told."""
    is_whole: bool
    """It had the whole overall window: it shared it with nobody."""
    is_last: bool
    """It sends no more."""
    overall: Times
    chats: dict[str, Times]


class SentBefore:
    """`take_up` before anything is sent, `run` meanwhile, `leave` after everything is."""

    def __init__(self, redis: RedisManager, scheduler: SlotScheduler, owner: str, *, is_whole: bool) -> None:
        """`is_whole`: this process has the whole overall window, and whoever had it before has ended."""
        self._redis = redis
        self._scheduler = scheduler
        self._owner = owner
        self._is_whole = is_whole
        self._instance = secrets.token_hex(4)
        self._known: dict[str, SentLately] = {}
        """By instance: what it said last."""
        self._is_taken_up = asyncio.Event()
        self._was_unavailable = False
        longest_s = max(limit.period_s for limit in scheduler.chat_limits) + scheduler.lost_after_s
        self._lasts_ms = int((longest_s + WRITTEN_EACH_S) * 1000)
        self._unknown_s = WRITTEN_EACH_S + _LATE_S + scheduler.chat_limits[0].period_s

    async def take_up(self) -> None:
        """Learn what was sent before; `RedisUnavailableError` when that cannot be told yet."""
        await self._exchange(write=False)
        self._is_taken_up.set()
        await self._exchange()

    async def exchange(self) -> None:
        """Write down what was sent here, and learn what others sent, if Redis answers."""
        try:
            await self._exchange()
            self._was_unavailable = False
        except RedisUnavailableError as error:
            stop_if_cancelled()
            if not self._was_unavailable:
                log.warning("sent_lately_not_exchanged", reason=str(error))
            self._was_unavailable = True

    async def run(self, progress: Progress) -> None:
        """Exchange for ever."""
        await self._is_taken_up.wait()
        while True:
            progress()
            await self.exchange()
            await asyncio.sleep(WRITTEN_EACH_S)

    async def leave(self) -> None:
        """Send no more, and leave word of what still counts. Call it when `run` has ended.

        Somebody whose question is not answered yet would be answered when another process sends already.
        """
        if not self._is_taken_up.is_set():
            return
        self._scheduler.shut()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_ANSWERS_S):
                while self._scheduler.in_flight:  # noqa: ASYNC110 - their senders wait for Telegram, not for us
                    await asyncio.sleep(_POLL_S)
        try:
            await self._exchange(is_last=True)
        except RedisUnavailableError as error:
            log.warning("sent_lately_not_left", reason=str(error))

    async def _exchange(self, *, write: bool = True, is_last: bool = False) -> None:
        document = raw(msgspec.json.encode(self._mine(is_last=is_last))) if write else None
        args = packed(instance=self._instance, document=document, lasts_ms=self._lasts_ms)
        reply = await self._redis.script(_EXCHANGE, [keys.SENT_LATELY.of()], args)
        now_ms, *found = cast("list[Reply]", reply)
        at_s, others = self._scheduler.clock(), dict[str, SentLately]()
        is_first = not self._is_taken_up.is_set()
        for stored in found:
            written_ms, _, text = cast("bytes", stored).partition(b" ")
            said = msgspec.json.decode(text, type=SentLately)
            if said.instance == self._instance:
                continue
            others[said.instance] = said
            ago_s = max(0, cast("int", now_ms) - int(written_ms)) / 1000
            self._note(said, at_s - ago_s)
            if is_first and not said.is_last and (self._is_whole or said.owner == self._owner):
                self._wait_for_the_unknown(ago_s)
        self._known = others

    def _mine(self, *, is_last: bool) -> SentLately:
        overall, chats = self._scheduler.sent()
        return SentLately(
            instance=self._instance,
            owner=self._owner,
            at=_ms(self._scheduler.clock()),
            is_whole=self._is_whole,
            is_last=is_last,
            overall=list(map(_ms, overall)),
            chats={str(chat_id): list(map(_ms, times)) for chat_id, times in chats.items()},
        )

    def _note(self, said: SentLately, written_at: float) -> None:
        """Count what is new in it; `written_at` on our own clock."""
        before = self._known.get(said.instance)

        def on_our_clock(times: Times, known: Times) -> list[float]:
            return [written_at + (time - said.at) / 1000 for time in (Counter(times) - Counter(known)).elements()]

        # What another one sends under a share of the overall window is not ours to count.
        counts_overall = self._is_whole or said.is_whole
        overall = on_our_clock(said.overall, before.overall if before else []) if counts_overall else []
        known = before.chats if before else {}
        chats = {_chat_id(name): on_our_clock(times, known.get(name, [])) for name, times in said.chats.items()}
        self._scheduler.note_sent(overall, {chat_id: times for chat_id, times in chats.items() if times})

    def _wait_for_the_unknown(self, ago_s: float) -> None:
        """The predecessor was killed: what it sent after it had written this is in no document."""
        wait_s = self._unknown_s - ago_s
        if wait_s > 0:
            log.info("sending_begins_later", because="a predecessor was killed", wait_s=round(wait_s, 1))
            self._scheduler.close(wait_s)


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


def _chat_id(name: str) -> ChatId:
    return int(name) if name.removeprefix("-").isdecimal() else name
