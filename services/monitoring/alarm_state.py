"""How an alarm stands, and what a chat has been told of it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import structlog

from services.monitoring.alarm_memory import ReportedAlarm
from services.monitoring.conditions import Condition, in_words
from texts.renderer import Texts

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

HOUR_S: Final = 3600.0
MAX_REPORTS_PER_HOUR: Final = 4
"""Of one alarm to one chat: coming and going twice. The end of what was told is never kept back for it."""
SETTLED_AFTER_S: Final = 600.0
"""What has stayed as it is for so long is told beyond the limit."""
KNOWN_AFTER_S: Final = 15.0
"""After a start: an alarm that stood before does not end sooner, since not everything has been asked yet."""


@dataclass(slots=True)
class WatchedAlarm:
    name: str
    condition: Condition
    after_s: float
    reason: str = ""
    """The last one while it was wrong."""
    turns: int = 0
    """How often it has begun or ended; odd while it stands."""
    turning_since: float | None = None
    """Since when the condition has been otherwise than the alarm."""
    began_at: float = 0.0
    ended_at: float = 0.0
    known_from: float = 0.0
    """An alarm of an earlier process: until then, a condition that has not held here says nothing."""

    @property
    def is_active(self) -> bool:
        return self.turns % 2 == 1

    @property
    def turned_at(self) -> float:
        return self.began_at if self.is_active else self.ended_at

    def poll(self, now: float, texts: Texts) -> None:
        reason = self.condition()
        if reason is not None:
            self.reason = in_words(reason, texts)
            self.known_from = 0.0
        if (reason is not None) == self.is_active:
            self.turning_since = None
            return
        if self.turning_since is None:
            self.turning_since = max(now, self.known_from) if self.is_active else now
        if now - self.turning_since < self.after_s:
            return
        self.turns += 1
        if self.is_active:
            self.began_at = self.turning_since
            log.warning("alarm_began", alarm=self.name, reason=self.reason)
        else:
            self.ended_at = self.turning_since
            log.info("alarm_ended", alarm=self.name, lasted_s=self.ended_at - self.began_at)
        self.turning_since = None

    def recall(self, told: ReportedAlarm | None, now: float, time_of_day: datetime) -> None:
        """Begin anew, standing if somebody was told that it does; what was seen before is old."""
        self.turns, self.turning_since, self.known_from = 0, None, now + KNOWN_AFTER_S
        if told:
            self.turns, self.reason = 1, told.reason
            self.began_at = now - max(0.0, (time_of_day - told.began_at).total_seconds())


@dataclass(slots=True)
class AdminChat:
    id: int
    told: dict[str, int] = field(default_factory=dict[str, int])
    """By alarm: the turn up to which this chat knows everything."""
    told_at: dict[str, deque[float]] = field(default_factory=dict[str, deque[float]])
    """By alarm: when something of it was told within the last hour."""
    telling: frozenset[str] = frozenset()
    """Alarms whose beginning is being told: from now on this chat may believe them."""

    wrote: asyncio.Event = field(default_factory=asyncio.Event)
    """Somebody has written from there: it may take messages now."""

    def is_due(self, alarm: WatchedAlarm, now: float) -> bool:
        told = self.told.get(alarm.name, 0)
        if told == alarm.turns:
            return False
        recently = self.told_at.setdefault(alarm.name, deque())
        while recently and now - recently[0] >= HOUR_S:
            recently.popleft()
        if told % 2 and not alarm.is_active:
            return True
        room = MAX_REPORTS_PER_HOUR - len(recently)
        # What begins leaves room for the word that it is over.
        return room > int(alarm.is_active) or now - alarm.turned_at >= SETTLED_AFTER_S

    def note(self, turns: Iterable[tuple[str, int]], now: float) -> None:
        for name, turn in turns:
            self.told[name] = turn
            self.told_at[name].append(now)
