"""getUpdates, again and again: what a page brings is taken in, and confirmed by the next question.

A page that brings nothing new, and an answer that comes sooner than it may, are paused after like an error: nothing
that answers in Telegram's place may keep the loop spinning.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

import structlog
from telegram.error import Conflict, NetworkError, TelegramError
from telegram.ext import ExtBot

from managers.telegram.errors import as_bot_error
from managers.telegram.request import AiohttpRequest
from managers.telegram.update_queue import UpdateQueue
from managers.telegram.updates import UpdateInbox, identified, read_page
from runtime.errors import BotError, FatalError, FloodError, NotSentError, TransientError

log = structlog.get_logger(__name__)

POLL_TIMEOUT_S: Final = 10
POLL_GRACE_S: Final = 5.0
"""How much later than its time-out a long poll may be answered."""
_CONFIRM_WITHIN_S: Final = 5.0
_FIRST_PAUSE_S: Final = 1.0
_MAX_PAUSE_S: Final = 30.0
_GROWTH: Final = 1.5
_MAX_FAILING_PAUSE_S: Final = 5.0
"""Telegram answers, so people can be answered as soon as one of their updates comes."""
_FLOOD_SLACK_S: Final = 0.5
_TOO_SOON_S: Final = 0.5
"""A long poll without updates is not answered sooner."""
_WRITTEN_WITHIN_S: Final = 0.5
"""Mostly a payment is written down sooner. After that everybody else goes on, as far as one page reaches beyond it."""
_PAGE: Final = 100
"""Updates that Telegram gives at most."""


class PollRequest(AiohttpRequest):
    """Reads a page as far as it can be read."""

    @staticmethod
    def parse_json_payload(payload: bytes) -> dict[str, Any]:
        page = read_page(payload)
        if page is None:
            raise NetworkError("What came in answer to getUpdates is none of Telegram's answers")
        if not isinstance(page.get("parameters"), dict):
            page.pop("parameters", None)
        return {"result": None} | page


class Polling:
    """`run` until cancelled, then `confirm`. Everything that came is in the inbox."""

    def __init__(
        self,
        bot: ExtBot[Any],
        inbox: UpdateInbox,
        queue: UpdateQueue,
        *,
        allowed_updates: Sequence[str],
        conflict_lasts_s: float,
        clock: Callable[[], float],
    ) -> None:
        self._bot = bot
        self._inbox = inbox
        self._queue = queue
        self._allowed = json.dumps(list(allowed_updates))
        self._conflict_lasts_s = conflict_lasts_s
        self._clock = clock
        self._offset: int | None = None
        self._former: list[object] = []
        """The last page if it brought nothing new: what it holds is counted already."""
        self._limit = _PAGE
        """Smaller after a page that could not be read: then what makes it so holds up fewer others."""
        self._pause_s = 0.0
        self._wanted_since: float | None = None
        """Since when this process is to poll, restarts after errors included."""
        self._started_at: float | None = None
        self._page_at: float | None = None
        self._conflict_at: float | None = None

    async def run(self) -> None:
        """Remove a webhook if there is one, and poll. `FatalError` for an unknown token; nothing else ends it."""
        self._started_at = None
        self._wanted_since = self._wanted_since or self._clock()
        while not await self._attempt(self._remove_webhook):  # noqa: ASYNC110 -- Telegram tells nobody when it is back
            await asyncio.sleep(self._pause_s)
        self._pause_s = 0.0
        self._started_at = self._clock()
        log.info("polling_started")
        while True:
            await self._queue.until_room()  # what finds no room stays with Telegram
            await self._attempt(self._poll)
            if self._pause_s:
                await asyncio.sleep(self._pause_s)

    async def confirm(self) -> None:
        """Tell Telegram what has come, so that it does not come again; without fail but not for ever."""
        offset = self._confirmable()
        self._offset = None
        if offset is None:
            return
        try:
            async with asyncio.timeout(_CONFIRM_WITHIN_S):
                # Whatever it brings besides stays unconfirmed: it is read by whoever polls next.
                await self._ask(offset, timeout_s=0, limit=1)
        except (TimeoutError, TelegramError) as error:
            log.warning("updates_not_confirmed", reason=str(error))
        log.info("polling_stopped")

    # how it goes

    @property
    def is_in_conflict(self) -> bool:
        return self._conflict_at is not None and self._clock() - self._conflict_at < self._conflict_lasts_s

    @property
    def silent_s(self) -> float | None:
        """How long Telegram has answered with nothing that could be processed; `None` where nobody is to poll."""
        return None if self._wanted_since is None else self._age_s(self._wanted_since)

    @property
    def stuck_s(self) -> float:
        """Likewise, since the polling of now has begun."""
        return 0.0 if self._started_at is None else self._age_s(self._started_at)

    def no_longer_wanted(self) -> None:
        """Note that it was stopped on purpose."""
        self._wanted_since = None

    def _age_s(self, since: float) -> float:
        """Count a refusal to poll beside another one as an answer."""
        return self._clock() - max(since, self._page_at or 0.0, self._conflict_at or 0.0)

    # one question

    async def _attempt(self, action: Callable[[], Any]) -> bool:
        try:
            await action()
        except TelegramError as error:
            meaning = as_bot_error(error)
            if isinstance(meaning, FatalError):
                raise meaning from None  # the library quotes the token
            self._note(error, meaning)
            return False
        except TransientError as error:
            self._note(error, error)
            return False
        return True

    def _note(self, error: Exception, meaning: BotError) -> None:
        if isinstance(error, Conflict):
            if not self.is_in_conflict:  # once, not at every attempt
                log.error("poll_conflicted", reason=error.message)
            self._conflict_at = self._clock()
        else:
            log.warning("poll_failed", reason=str(meaning))
            if not isinstance(meaning, FloodError | NotSentError):
                self._limit = max(1, self._limit // 10)
        self._pause_s = min(_MAX_PAUSE_S, max(_FIRST_PAUSE_S, self._pause_s * _GROWTH))
        if isinstance(meaning, FloodError):
            self._pause_s = meaning.retry_after_s + _FLOOD_SLACK_S

    async def _remove_webhook(self) -> None:
        await self._bot.delete_webhook(drop_pending_updates=False)

    async def _poll(self) -> None:
        await self._inbox.payments.settled(within_s=_WRITTEN_WITHIN_S)
        asked_at = self._clock()
        offset = self._confirmable()
        limit = None if self._limit == _PAGE else self._limit
        page = await self._ask(offset, timeout_s=POLL_TIMEOUT_S, limit=limit)
        if not isinstance(page, list):
            raise TransientError("Telegram answered getUpdates with no list")
        items = cast("list[object]", page)
        self._limit = min(_PAGE, 2 * self._limit)
        if not items:
            self._page_at = self._clock()
            self._pause_s = _FIRST_PAUSE_S if self._page_at - asked_at < _TOO_SOON_S else 0.0
            return
        new, is_held = self._take(items), offset != self._offset
        self._offset = next_offset(items, offset)
        if is_held:
            self._page_at = self._clock()
            self._pause_s = 0.0 if new else _WRITTEN_WITHIN_S
        elif new:
            self._page_at = self._clock()
            self._pause_s = 0.0
        else:
            self._pause_s = min(_MAX_FAILING_PAUSE_S, max(_FIRST_PAUSE_S, self._pause_s * _GROWTH))

    def _confirmable(self) -> int | None:
        """Return what to ask for next: nothing beyond a payment that is not written down, which so comes again."""
        unwritten = self._inbox.payments.first_unwritten
        return self._offset if self._offset is None or unwritten is None else min(self._offset, unwritten)

    def _take(self, items: list[object]) -> int:
        """Take a page in; returns how many of it surely had not come before."""
        if items == self._former:
            return 0
        new = [identified(item) is not None and self._inbox.take(item, self._bot) for item in items]
        # One without an id is dropped; it is known again only by the whole page that it comes in.
        nameless = [item for item in items if identified(item) is None]
        for item in nameless:
            self._inbox.take(item, self._bot)
        self._former = items if nameless else []
        return sum(new)

    async def _ask(self, offset: int | None, *, timeout_s: int, limit: int | None = None) -> Any:
        question = {"offset": offset, "timeout": timeout_s, "limit": limit, "allowed_updates": self._allowed}
        given = {name: value for name, value in question.items() if value is not None}
        return await self._bot.do_api_request("get_Updates", given, read_timeout=timeout_s + POLL_GRACE_S)


def next_offset(items: Sequence[object], offset: int | None) -> int | None:
    """Return what to ask for after a page: the least that goes past it without going past anything else.

    Ids ascend. So the k-th update whose id cannot be made out has one that is at least k - 1 above what was asked for,
    or k above the readable one before it, and whatever comes later has a higher one. `None`: nothing is known yet.
    """
    ids = [identified(item) for item in items]
    known = [number for number in ids if number is not None]
    after = max(known) + 1 if known else offset
    unknown = next((at for at, number in enumerate(reversed(ids)) if number is not None), len(ids))
    return None if after is None else after + unknown
