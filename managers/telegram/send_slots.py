"""When a message may leave: ack-clocked windows under weighted fair lanes.

Telegram allows about 30 messages a second overall, one a second in a private chat and twenty a minute in a
group. Each limit is a window of N slots, and a slot is reusable one period after the *reply* to its last
request. Since arrival(k+1) >= sent(k+1) >= reply(k) + period >= arrival(k) + period, no period ever sees more
than N arrivals at the server, whatever the delays on the way. Pacing by the sender's clock proves nothing of
the kind.

Within what the windows allow, lanes share by weight (self-clocked fair queueing). A chat enters the fair
queue only while its own window is open, so thousands of waiters for closed chats cost the others nothing.

The overall window may be a share of a window that several processes divide among themselves. The proof still
holds when a slot counts as held here until it has cooled, is used elsewhere only after that, and nothing is
sent here any more once the share has lapsed. Where another process takes over, Telegram counts on: the new one
is told what still counts (`note_sent`), or waits (`close`).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

from managers.telegram.send_lanes import FairClock, Lane, left_free
from managers.telegram.send_windows import Window
from runtime.errors import NotSentError
from runtime.limit import Limit

ChatId = int | str
"""A number, or `@name` of a channel or group."""

_SHUT = "the process ends, and another one may be sending by now"
_TIMER_SLACK_S = 2**-11
"""Event loops may round a delay to the millisecond, down; waking too early would only mean waking twice."""


@dataclass(slots=True, eq=False)
class _Waiter:
    chat: _Chat
    lane: Lane
    sequence: int
    granted: asyncio.Future[int]
    """Set to the share (see `Slot.share`) that it was granted from."""
    turn: float | None = None
    """Its place among all chats, given when its chat first has room for it and kept from then on."""


@dataclass(slots=True, eq=False)
class _Chat:
    id: ChatId
    window: Window
    fair: FairClock = field(default_factory=FairClock)
    queue: list[tuple[float, int, _Waiter]] = field(default_factory=list[tuple[float, int, _Waiter]])
    """Heap by (turn within the chat, sequence): first come, first served in each lane."""
    offered: _Waiter | None = None
    """The head of the queue, while it stands in the fair queue of all chats."""
    closed_until: float = 0.0
    wakes_at: float | None = None


@dataclass(slots=True, eq=False)
class Slot:
    """The right to send one message to one chat.

    Whoever sends notes `sent_at` and, once the request is over, `answered_at`, on the scheduler's clock.
    """

    chat: _Chat
    lane: Lane
    share: int
    """How often the sender's share had lapsed before: an unsent slot of a lapsed share is worth nothing."""
    held: bool = True
    sent_at: float | None = None
    answered_at: float | None = None

    @property
    def chat_id(self) -> ChatId:
        return self.chat.id


class SlotScheduler:
    """Hands out slots on one event loop.

    `lost_after_s`: a request that nobody waits for any more cannot arrive later than this after it was sent.
    `clock`: monotonic seconds, not cached by an event loop, or the proof above does not hold.
    """

    def __init__(
        self, *, overall: Limit, private: Limit, group: Limit, lost_after_s: float, clock: Callable[[], float]
    ) -> None:
        self.limits = overall
        """The whole overall window, of which this process may have a share."""
        self.lost_after_s = lost_after_s
        self.clock = clock
        self.short = asyncio.Event()
        """Set whenever somebody waits only because the overall window has too few slots."""
        self.chat_limits = (private, group)
        self._overall = Window(overall)
        self._lapses_at = math.inf
        self._is_shut = False
        self._share = 0
        self._fair = FairClock()
        self._chats: dict[ChatId, _Chat] = {}
        self._ready: list[tuple[float, int, _Waiter]] = []
        self._wakes: list[tuple[float, int, _Chat]] = []
        self._refused_until: dict[ChatId, float] = {}
        self._closed_until = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._sequence = 0
        self.waiting = dict.fromkeys(Lane, 0)
        self.waited = 0
        """Slots that were not to be had at once."""

    @property
    def in_flight(self) -> int:
        return self._overall.taken

    @property
    def slots(self) -> int:
        """Overall slots that may be used now."""
        return 0 if self._has_lapsed(self.clock()) else self._overall.slots

    @property
    def held(self) -> int:
        """Overall slots that nobody else may use yet: one that is taken or cooling is kept, whatever was taken away."""
        return max(self.slots, self._overall.in_use(self.clock()))

    @property
    def spare(self) -> int:
        """Overall slots that are free and cooled: so many could be given back now."""
        return self.held - self._overall.in_use(self.clock())

    @property
    def demand(self) -> int:
        """Overall slots that would be in use now if there were enough: taken, cooling, and waited for."""
        ready = {waiter.chat.id for _, _, waiter in self._ready if waiter.chat.offered is waiter}
        return self._overall.in_use(self.clock()) + len(ready)

    @property
    def quiet_in_s(self) -> float:
        """Seconds until every overall slot has cooled, if nothing is sent from now on."""
        now = self.clock()
        taken_s = self.lost_after_s + self._overall.period_s if self._overall.taken else 0.0
        return max(taken_s, (self._overall.cooled_at() or now) - now)

    def resize(self, slots: int, *, until: float = math.inf) -> None:
        """Set how many overall slots may be used, and until when (on `clock`; then none, until the next `resize`).

        More are there at once. Fewer take away free slots only: one that is taken or cooling counts as `held` until
        it has cooled. Slots that were handed out under a share that lapsed in between are worth nothing.
        """
        now = self.clock()
        self._share += self._has_lapsed(now)
        self._overall.slots = slots
        self._lapses_at = until
        self._pump(now)

    def may_send(self, slot: Slot) -> bool:
        """Tell whether a request may leave under the slot now: the share it comes from must not have lapsed."""
        return not self._is_shut and slot.share == self._share and not self._has_lapsed(self.clock())

    def _has_lapsed(self, now: float) -> bool:
        return now >= self._lapses_at

    def sent(self) -> tuple[list[float], dict[ChatId, list[float]]]:
        """Tell when our own requests were answered that still count (on `clock`): in all, and by chat."""
        now = self.clock()
        by_chat = {id_: times for id_, chat in self._chats.items() if (times := chat.window.answered_at(now))}
        return self._overall.answered_at(now), by_chat

    def used(self, chat_id: ChatId) -> int:
        """Count the slots of a chat that are taken or cooling."""
        return self._chats[chat_id].window.in_use(self.clock()) if chat_id in self._chats else 0

    def note_sent(self, overall: Sequence[float], by_chat: Mapping[ChatId, Sequence[float]]) -> None:
        """Count what somebody else has sent, answered at these times on `clock`."""
        self._overall.add(overall)
        for chat_id, times in by_chat.items():
            chat = self._chat(chat_id)
            chat.window.add(times)
            self._offer(chat, self.clock())
        self._pump(self.clock())

    def close(self, for_s: float) -> None:
        """Let nothing leave for so long."""
        self._closed_until = max(self._closed_until, self.clock() + for_s)
        self._pump(self.clock())

    def shut(self) -> None:
        """Let nothing leave any more, at the end of the process; whoever waits gets a `NotSentError`."""
        self._is_shut = True
        for waiter in [one for chat in self._chats.values() for _, _, one in chat.queue]:
            if not waiter.granted.done():
                self.waiting[waiter.lane] -= 1
                waiter.granted.set_exception(NotSentError(_SHUT))

    @property
    def chats(self) -> int:
        """Chats that hold, cool or wait for a slot, or are closed."""
        return len(self._chats)

    def closed_for_s(self, chat_id: ChatId) -> float:
        """How long Telegram wants the chat to be left alone; not above nought if it does not."""
        chat = self._chats.get(chat_id)
        return max(self._closed_until, chat.closed_until if chat else 0.0) - self.clock()

    def stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def acquire(self, chat_id: ChatId, lane: Lane, *, first: bool = False) -> Slot:
        """Wait for a slot; `first` goes before everything else that waits for this chat."""
        if self._is_shut:
            raise NotSentError(_SHUT)
        chat = self._chat(chat_id)
        self._sequence += 1
        waiter = _Waiter(chat, lane, self._sequence, asyncio.get_running_loop().create_future())
        turn = float("-inf") if first else chat.fair.turn(lane)
        heappush(chat.queue, (turn, waiter.sequence, waiter))
        self.waiting[lane] += 1
        self._settle(chat)
        self.waited += not waiter.granted.done()
        try:
            share = await waiter.granted
        except asyncio.CancelledError:
            if waiter.granted.cancelled():
                self.waiting[waiter.lane] -= 1
                self._settle(chat)
            else:  # granted in the very moment of the cancellation
                self._give_back(chat, None)
            raise
        return Slot(chat=chat, lane=waiter.lane, share=share)

    def hasten(self, chat_id: ChatId, lane: Lane) -> None:
        """Let whatever waits for this chat in a later lane wait in this one: something of it is to go by that slot."""
        queue = self._chats[chat_id].queue if chat_id in self._chats else []
        for waiter in [one for _, _, one in queue if one.lane > lane and not one.granted.done()]:
            self.waiting[waiter.lane] -= 1
            self.waiting[lane] += 1
            waiter.lane = lane
            if waiter.turn is not None:
                waiter.turn = min(waiter.turn, self._fair.turn(lane))
                heappush(self._ready, (waiter.turn, waiter.sequence, waiter))
        self._pump(self.clock())

    async def renew(self, slot: Slot) -> None:
        """Turn a used or worthless slot into a fresh one of the same chat and lane."""
        self.release(slot)
        fresh = await self.acquire(slot.chat_id, slot.lane, first=True)
        slot.chat, slot.share, slot.held, slot.sent_at, slot.answered_at = fresh.chat, fresh.share, True, None, None

    def release(self, slot: Slot) -> None:
        """Give the slot back: at once if nothing was sent, after the answer and a period if something was.

        Without an answer the request may still be on its way, so the slot is kept as long as that can last.
        """
        if not slot.held:
            return
        slot.held = False
        answered_at = slot.answered_at
        if answered_at is None and slot.sent_at is not None:
            answered_at = max(self.clock(), slot.sent_at + self.lost_after_s)
        self._give_back(slot.chat, answered_at)

    def refuse(self, slot: Slot, after_s: float) -> bool:
        """Close the slot's chat for `after_s`, and everything if Telegram refuses a second chat meanwhile.

        Returns whether everything is closed.
        """
        now = self.clock()
        until = now + after_s
        chat = slot.chat
        self._refused_until = {id_: end for id_, end in self._refused_until.items() if end > now}
        everything = any(id_ != chat.id for id_ in self._refused_until)
        self._refused_until[chat.id] = max(until, self._refused_until.get(chat.id, 0.0))
        if everything:
            self._closed_until = max(self._closed_until, until)
        chat.closed_until = max(chat.closed_until, until)
        self._settle(chat)
        return everything

    def _chat(self, chat_id: ChatId) -> _Chat:
        chat = self._chats.get(chat_id)
        if chat is None:
            private, group = self.chat_limits
            limit = private if isinstance(chat_id, int) and chat_id > 0 else group
            chat = self._chats[chat_id] = _Chat(id=chat_id, window=Window(limit))
        return chat

    def _give_back(self, chat: _Chat, answered_at: float | None) -> None:
        self._overall.give_back(answered_at)
        chat.window.give_back(answered_at)
        self._settle(chat)

    def _settle(self, chat: _Chat) -> None:
        now = self.clock()
        self._offer(chat, now)
        self._pump(now)

    def _offer(self, chat: _Chat, now: float) -> None:
        """Bring the head of the chat's queue before everybody if the chat is open, or see to its waking."""
        while chat.queue and chat.queue[0][2].granted.done():
            heappop(chat.queue)
        head = chat.queue[0][2] if chat.queue else None
        has_room = chat.window.has_room(now)
        if head is not None and has_room and now >= chat.closed_until:
            if chat.offered is not head:
                chat.offered = head
                if head.turn is None:
                    head.turn = self._fair.turn(head.lane)
                heappush(self._ready, (head.turn, head.sequence, head))
            return
        chat.offered = None
        wakes_at = chat.closed_until if now < chat.closed_until else chat.window.next_free_at()
        if wakes_at is not None:
            if chat.wakes_at is None or wakes_at < chat.wakes_at:
                chat.wakes_at = wakes_at
                self._sequence += 1
                heappush(self._wakes, (wakes_at, self._sequence, chat))
        elif head is None and not chat.window.taken:
            self._chats.pop(chat.id, None)

    def _pump(self, now: float) -> None:
        while self._wakes and self._wakes[0][0] <= now:
            wakes_at, _, chat = heappop(self._wakes)
            if chat.wakes_at == wakes_at:
                chat.wakes_at = None
                self._offer(chat, now)
        while self._ready and now >= self._closed_until:
            waiter = self._ready[0][2]
            spared = left_free(waiter.lane, self.waiting, self._overall.slots)
            if not self._overall.has_room(now, spared) or self._has_lapsed(now):
                self.short.set()
                break
            heappop(self._ready)
            if waiter.chat.offered is waiter and not waiter.granted.done():
                self._grant(waiter, now)
        self._arm(now)

    def _grant(self, waiter: _Waiter, now: float) -> None:
        chat = waiter.chat
        chat.fair.advance(heappop(chat.queue)[0])
        self._fair.advance(waiter.turn or 0.0)
        chat.offered = None
        chat.window.taken += 1
        self._overall.taken += 1
        self.waiting[waiter.lane] -= 1
        waiter.granted.set_result(self._share)
        self._offer(chat, now)

    def _arm(self, now: float) -> None:
        """Set the timer to the next moment in which anything can change by itself."""
        moments = [self._wakes[0][0]] if self._wakes else []
        if self._ready:
            opens_at = self._closed_until if now < self._closed_until else self._overall.next_free_at()
            moments += [] if opens_at is None else [opens_at]
        if not moments or (self._timer is not None and self._timer_at <= min(moments)):
            return
        self.stop_timer()
        self._timer_at = min(moments)
        delay_s = max(0.0, self._timer_at - now) + _TIMER_SLACK_S
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._pump(self.clock())
