"""Which update is handled next: chats in turn, each chat in order, and nobody beyond their share.

A chat has one update handled at a time, and so costs the others one place of many, however many of its updates wait
and however slowly Telegram takes the answers. In a group the people take turns likewise. What one person may have
waiting is bounded, in all chats together: what they do beyond that is dropped, and they are told so once a minute.
The whole is bounded, too; whoever brings updates asks `has_room` before, so that what finds none stays with Telegram.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import structlog
from msgspec import Struct

from runtime.cancellation import end

log = structlog.get_logger(__name__)

AT_ONCE: Final = 64
PER_PERSON: Final = 30
"""About so many seconds of answers at the pace that Telegram allows in one chat."""
PER_CHAT: Final = 100
"""More than that in a group could not be answered within five minutes."""
IN_ALL: Final = 10_000
HANDLED_WITHIN_S: Final = 180.0
"""Longer than an answer takes that Telegram puts off as often as we try again."""
TOLD_EACH_S: Final = 60.0
_LOGGED_EACH_S: Final = 10.0


class Origin(Struct, frozen=True):
    """Whose update it is. Both are the same number in a private chat."""

    person: int
    chat: int


Handle = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class _QueuedUpdate:
    number: int
    person: int | None
    """`None`: counted for nobody, since it only says that something was dropped."""
    handle: Handle


@dataclass(slots=True)
class _Chat:
    id: int
    people: dict[int, deque[_QueuedUpdate]] = field(default_factory=dict[int, deque[_QueuedUpdate]])
    """Only those who have something waiting, in the order of their turns."""
    waiting: int = 0

    def put(self, person: int, item: _QueuedUpdate, *, first: bool = False) -> None:
        own = self.people.setdefault(person, deque())
        own.appendleft(item) if first else own.append(item)
        self.waiting += 1

    def next(self) -> _QueuedUpdate:
        person, own = next(iter(self.people.items()))
        item = own.popleft()
        del self.people[person]
        if own:
            self.people[person] = own  # behind the others
        self.waiting -= 1
        return item


class UpdateQueue:
    """Runs what is put; close it with `close`. `clock`: monotonic seconds."""

    def __init__(
        self,
        *,
        at_once: int = AT_ONCE,
        per_person: int = PER_PERSON,
        per_chat: int = PER_CHAT,
        in_all: int = IN_ALL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._at_once = at_once
        self._per_person = per_person
        self._per_chat = per_chat
        self._in_all = in_all
        self.clock = clock
        self._chats: dict[int, _Chat] = {}
        self._ready: deque[_Chat] = deque()
        """Chats whose turn comes: something waits there and nothing is being handled."""
        self._running: set[asyncio.Task[None]] = set()
        self._per: Counter[int] = Counter()
        """By person: how many of their updates wait or are being handled."""
        self._arrived: OrderedDict[int, float] = OrderedDict()
        """By number: when each update came that waits or is being handled, the oldest first."""
        self._number = 0
        self._told: OrderedDict[int, float] = OrderedDict()
        """By person: when they were told last that something was dropped."""
        self._logged_at = -_LOGGED_EACH_S
        self._finished_at = clock()
        self._changed = asyncio.Event()
        self.handled = 0
        self.dropped = 0
        """Updates beyond somebody's share."""
        self.given_up = 0
        """Updates whose handling did not come to an end."""

    # what is asked before something is put

    def __len__(self) -> int:
        return len(self._arrived)

    @property
    def has_room(self) -> bool:
        return len(self._arrived) < self._in_all

    async def until_room(self) -> None:
        while not self.has_room:
            self._changed.clear()
            await self._changed.wait()

    def admits(self, origin: Origin) -> bool:
        """Tell whether `origin` may have one more waiting."""
        chat = self._chats.get(origin.chat)
        return self._per[origin.person] < self._per_person and (chat is None or chat.waiting < self._per_chat)

    def put(self, origin: Origin, handle: Handle) -> None:
        self._per[origin.person] += 1
        self._add(origin, origin.person, handle)

    def drop(self, origin: Origin) -> bool:
        """Count one that was not admitted; returns whether the person should be told now (see `put_notice`)."""
        self.dropped += 1
        now = self.clock()
        if now - self._logged_at >= _LOGGED_EACH_S:
            self._logged_at = now
            log.warning("updates_dropped", user_id=origin.person, chat_id=origin.chat, dropped=self.dropped)
        while self._told and now - next(iter(self._told.values())) >= TOLD_EACH_S:
            self._told.popitem(last=False)
        if origin.person in self._told or len(self._told) >= self._in_all:
            return False
        self._told[origin.person] = now
        return True

    def put_notice(self, origin: Origin, handle: Handle) -> None:
        """Put what tells somebody that something was dropped: ahead of all that they have waiting."""
        self._add(origin, None, handle, first=True)

    # how it goes

    @property
    def oldest_age_s(self) -> float:
        """How long the oldest update has been here that is not handled yet; nought when there is none."""
        return self.clock() - next(iter(self._arrived.values())) if self._arrived else 0.0

    @property
    def stalled_s(self) -> float:
        """How long no update has come to its end although there were some; nought when all are handled."""
        if not self._arrived:
            return 0.0
        return self.clock() - max(self._finished_at, next(iter(self._arrived.values())))

    async def drained(self) -> None:
        """Return when everything that was put is handled."""
        while self._arrived:
            self._changed.clear()
            await self._changed.wait()

    async def close(self) -> None:
        """Give up what is left."""
        self._ready.clear()
        self._chats.clear()
        await end(self._running)

    def _add(self, origin: Origin, counted: int | None, handle: Handle, *, first: bool = False) -> None:
        self._number += 1
        self._arrived[self._number] = self.clock()
        chat = self._chats.get(origin.chat)
        if chat is None:
            chat = self._chats[origin.chat] = _Chat(origin.chat)
            self._ready.append(chat)
        chat.put(origin.person, _QueuedUpdate(self._number, counted, handle), first=first)
        self._start()

    def _start(self) -> None:
        while self._ready and len(self._running) < self._at_once:
            chat = self._ready.popleft()
            task = asyncio.create_task(self._work(chat, chat.next()), name=f"update of chat {chat.id}")
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _work(self, chat: _Chat, item: _QueuedUpdate) -> None:
        task = asyncio.current_task()
        try:
            async with asyncio.timeout(HANDLED_WITHIN_S):
                await item.handle()
            self._finished_at = self.clock()
            self.handled += 1
        except TimeoutError:
            self.given_up += 1
            log.warning("update_given_up", chat_id=chat.id, after_s=HANDLED_WITHIN_S)
        except Exception:
            # One update costs itself, whatever was wrong with it: the next of this chat has its turn.
            self.given_up += 1
            log.exception("update_broke_off", chat_id=chat.id)
        finally:
            if task is not None:
                self._running.discard(task)
            self._over(chat, item)

    def _over(self, chat: _Chat, item: _QueuedUpdate) -> None:
        self._arrived.pop(item.number, None)
        if item.person is not None:
            self._per[item.person] -= 1
            if self._per[item.person] <= 0:
                del self._per[item.person]
        if self._chats.get(chat.id) is chat:
            if chat.waiting:
                self._ready.append(chat)
            else:
                del self._chats[chat.id]
        self._changed.set()
        self._start()
