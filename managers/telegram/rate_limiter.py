"""The rate limiter of python-telegram-bot: which request needs a slot, and what follows a flood refusal."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import structlog
from msgspec import Struct
from telegram.error import RetryAfter
from telegram.ext import BaseRateLimiter

from managers.telegram.send_lanes import Lane
from managers.telegram.send_slots import ChatId, Slot, SlotScheduler
from managers.telegram.send_windows import GROUP, OVERALL, PRIVATE
from runtime.limit import Limit

__all__ = ["Answer", "ChatId", "Lane", "Limit", "LimiterStats", "Slot", "TelegramRateLimiter", "retry_after_s"]

log = structlog.get_logger(__name__)

Answer = bool | dict[str, Any] | list[dict[str, Any]]

_REPLY_ATTEMPTS = 4
_REPLY_TIMEOUT_S = 30.0
"""A person who waited longer than this for an answer has gone."""


class ChatClosedError(RetryAfter):
    """Telegram wants the chat to be left alone for longer than anybody waits for an answer; it was not asked again."""

    @property
    def retry_after(self) -> timedelta:
        return self._retry_after


class LimiterStats(Struct, frozen=True, kw_only=True):
    sent: int
    """Requests that went out under a slot."""
    waited: int
    """Slots that were not to be had at once."""
    refusals: int
    """429 answers."""
    in_flight: int
    chats: int
    """Chats that hold, cool or wait for a slot, or are closed."""
    waiting: dict[Lane, int]


class TelegramRateLimiter(BaseRateLimiter[Lane | Slot]):
    """Never more than Telegram's limits in any window, nobody starved, no chat behind another.

    `lost_after_s`: a request that was given up cannot arrive later than this after it was sent; at least the
    sum of the request's time-outs. `clock`: monotonic seconds, not cached by an event loop.
    """

    def __init__(
        self,
        *,
        overall: Limit = OVERALL,
        private: Limit = PRIVATE,
        group: Limit = GROUP,
        lost_after_s: float = 35.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._slots = SlotScheduler(
            overall=overall, private=private, group=group, lost_after_s=lost_after_s, clock=clock
        )
        self._clock = clock
        self._sent = 0
        self._refusals = 0

    async def initialize(self) -> None:
        """Open nothing: python-telegram-bot asks for the method."""

    async def shutdown(self) -> None:
        self._slots.stop_timer()

    def waiting(self, lane: Lane) -> int:
        return self._slots.waiting[lane]

    @property
    def scheduler(self) -> SlotScheduler:
        """What hands out the slots, for whoever shares the overall limit with other processes."""
        return self._slots

    @property
    def demand(self) -> int:
        """Overall slots that would be in use now if there were enough: taken, cooling, and waited for."""
        return self._slots.demand

    def resize(self, slots: int, *, until: float = math.inf) -> None:
        """Set how many overall slots may be used, and until when, on the limiter's clock."""
        self._slots.resize(slots, until=until)

    @property
    def stats(self) -> LimiterStats:
        return LimiterStats(
            sent=self._sent,
            waited=self._slots.waited,
            refusals=self._refusals,
            in_flight=self._slots.in_flight,
            chats=self._slots.chats,
            waiting=dict(self._slots.waiting),
        )

    @asynccontextmanager
    async def slot(self, chat_id: ChatId, lane: Lane) -> AsyncGenerator[Slot]:
        """Wait until a message to `chat_id` may leave; pass the slot as `rate_limit_args` of the request.

        A slot under which nothing was sent is free again at once. A further request under the same slot waits
        for a new one, ahead of everything else for that chat.
        """
        slot = await self._slots.acquire(_normal(chat_id), lane)
        try:
            yield slot
        finally:
            self._slots.release(slot)

    def hasten(self, chat_id: ChatId, lane: Lane) -> None:
        """Let what waits for a slot of this chat in a later lane wait in this one from now on."""
        self._slots.hasten(_normal(chat_id), lane)

    async def process_request(
        self,
        callback: Callable[..., Coroutine[Any, Any, Answer]],
        args: Any,
        kwargs: dict[str, Any],
        endpoint: str,
        data: dict[str, Any],
        rate_limit_args: Lane | Slot | None,
    ) -> Answer:
        """Send under a held `Slot`, or under one of the given lane (`None`: REPLY), if the request needs one.

        A flood refusal closes the chat for as long as Telegram said. In lane REPLY the request is repeated, a
        few times and if the pause is short; otherwise the sender gets `RetryAfter`. Likewise at once while the chat
        is closed for longer: whoever answers people must not be held up by one of them.
        """
        chat_id = data.get("chat_id")
        if not isinstance(chat_id, int | str) or not _is_message(endpoint):
            return await callback(*args, **kwargs)
        if isinstance(rate_limit_args, Slot):
            if not rate_limit_args.held or rate_limit_args.chat_id != _normal(chat_id):
                raise ValueError(f"a slot of chat {rate_limit_args.chat_id} does not serve chat {chat_id}")
            return await self._send(rate_limit_args, lambda: callback(*args, **kwargs))
        lane = rate_limit_args or Lane.REPLY
        attempts_left = _REPLY_ATTEMPTS if lane is Lane.REPLY else 1
        while True:
            attempts_left -= 1
            closed_s = self._slots.closed_for_s(_normal(chat_id))
            if lane is Lane.REPLY and closed_s > _REPLY_TIMEOUT_S:
                raise ChatClosedError(timedelta(seconds=closed_s))
            async with self.slot(chat_id, lane) as slot:
                try:
                    return await self._send(slot, lambda: callback(*args, **kwargs))
                except RetryAfter as refusal:
                    if not attempts_left or retry_after_s(refusal) > _REPLY_TIMEOUT_S:
                        raise

    async def _send(self, slot: Slot, request: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
        while slot.sent_at is not None or not self._slots.may_send(slot):
            await self._slots.renew(slot)
        slot.sent_at = self._clock()
        self._sent += 1
        try:
            answer = await request()
        except RetryAfter as refusal:
            slot.answered_at = self._clock()
            after_s = retry_after_s(refusal)
            everything = self._slots.refuse(slot, after_s)
            self._refusals += 1
            log.warning("flood_refused", chat_id=slot.chat_id, retry_after_s=after_s, everything=everything)
            raise
        except Exception:  # the request is over; a cancelled one may still arrive and stays unanswered
            slot.answered_at = self._clock()
            raise
        slot.answered_at = self._clock()
        return answer


def retry_after_s(refusal: RetryAfter) -> float:
    """Read the pause in seconds: the library gives a number or a timedelta, depending on the environment."""
    after = refusal.retry_after
    return float(after) if isinstance(after, int) else after.total_seconds()


def _is_message(endpoint: str) -> bool:
    """Tell whether the request counts against the limits: it makes or changes something that people see."""
    return endpoint != "sendChatAction" and endpoint.startswith(("send", "edit", "copy", "forward"))


def _normal(chat_id: ChatId) -> ChatId:
    if isinstance(chat_id, str) and chat_id.removeprefix("-").isdecimal():
        return int(chat_id)
    return chat_id
