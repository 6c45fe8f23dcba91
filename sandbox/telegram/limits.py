"""Telegram's flood limits, enforced to the letter as sliding windows.

Telegram publishes "about 30 messages a second overall, one a second per chat with short bursts, 20 a minute
per group" and keeps the exact rule to itself; a sliding window is the strictest reading of it, so whoever
stays within this gate stays within any of the gentler ones.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

_CHATS_BEFORE_SWEEP = 50_000
# A request that arrives exactly when the window reopens is let in although its clock lost a rounding bit.
_ROUNDING_S = 1e-9


@dataclass(frozen=True, slots=True)
class Window:
    """At most `count` messages within any `seconds`."""

    count: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FloodLimits:
    """`None` switches a limit off. The private window is one message a second with a burst of three."""

    overall: Window | None = Window(30, 1.0)
    private: Window | None = Window(3, 3.0)
    group: Window | None = Window(20, 60.0)

    @classmethod
    def off(cls) -> FloodLimits:
        return cls(overall=None, private=None, group=None)


class SlidingWindow:
    """Counts what was let in; a refusal closes the window for the whole `retry_after` it announced."""

    __slots__ = ("_closed_until", "_seconds", "_slots", "_times")

    def __init__(self, window: Window) -> None:
        self._slots = window.count
        self._seconds = window.seconds
        self._times: deque[float] = deque()
        self._closed_until = -math.inf

    def wait_s(self, now: float, weight: int) -> int:
        """Seconds until `weight` more messages may come (0: now); whole seconds, as Telegram answers."""
        if now + _ROUNDING_S < self._closed_until:
            return max(1, math.ceil(self._closed_until - now - _ROUNDING_S))
        times = self._times
        while times and times[0] + self._seconds <= now + _ROUNDING_S:
            times.popleft()
        missing = len(times) + min(weight, self._slots) - self._slots
        if missing <= 0:
            return 0
        wait = max(1, math.ceil(times[missing - 1] + self._seconds - now - _ROUNDING_S))
        self._closed_until = now + wait
        return wait

    def take(self, now: float, weight: int) -> None:
        self._times.extend([now] * weight)

    def is_idle(self, now: float) -> bool:
        return now >= self._closed_until and (not self._times or self._times[-1] + self._seconds <= now)


class FloodGate:
    """The windows of one bot: one for everything and one for each chat."""

    def __init__(self, limits: FloodLimits) -> None:
        self._limits = limits
        self._overall = SlidingWindow(limits.overall) if limits.overall else None
        self._chats: dict[int, SlidingWindow] = {}

    def enter(self, chat_id: int, now: float, *, weight: int = 1, is_send: bool = True) -> int:
        """Let a message (or an album of `weight`) in and return 0, or return `retry_after` in seconds.

        Edits (`is_send=False`) count for their chat only. A refused message takes no place in any window.
        """
        chat = self._chat_window(chat_id, now)
        chat_weight = weight if chat_id < 0 else 1
        overall = self._overall if is_send else None
        wait = chat.wait_s(now, chat_weight) if chat else 0
        if overall and not wait:
            wait = overall.wait_s(now, weight)
        if wait:
            return wait
        if overall:
            overall.take(now, weight)
        if chat:
            chat.take(now, chat_weight)
        return 0

    def _chat_window(self, chat_id: int, now: float) -> SlidingWindow | None:
        window = self._chats.get(chat_id)
        if window is None:
            limit = self._limits.group if chat_id < 0 else self._limits.private
            if limit is None:
                return None
            if len(self._chats) >= _CHATS_BEFORE_SWEEP:
                self._chats = {key: kept for key, kept in self._chats.items() if not kept.is_idle(now)}
            window = self._chats[chat_id] = SlidingWindow(limit)
        return window
