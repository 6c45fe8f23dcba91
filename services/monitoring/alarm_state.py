"""How an alarm stands, and what a chat has been told of it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import structlog

from services.monitoring.alarm_memory import ReportedAlarm
from services.monitoring.conditions import Condition, Reasons, in_words, listed, parts_of
from texts.renderer import Texts

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

HOUR_S: Final = 3600.0
MAX_REPORTS_PER_HOUR: Final = 4
"""Of one alarm to one chat: coming and going twice. The end of what was told is never kept back for it."""
SETTLED_AFTER_S: Final = 600.0
"""What has stayed as it is for so long is told beyond the limit."""
KNOWN_AFTER_S: Final = 15.0
"""After a start: an alarm that stood before does not end sooner, since not everything has been asked yet."""
FORGOTTEN_AFTER_S: Final = 600.0
"""What an alarm concerned, and has not for so long, is told as new when it does again."""
_ABSENT_S: Final = 3.0
"""What was not seen for so long has not stood all the time."""


@dataclass(slots=True)
class Part:
    """One of the things that an alarm is about."""

    said: Reasons
    since: float
    seen_at: float
    is_logged: bool = False


def said_of(parts: Iterable[Part], texts: Texts) -> str:
    """What is said of these: once where one reason is for several."""
    said: list[Reasons] = []
    for part in parts:
        if part.said not in said[-1:]:
            said.append(part.said)
    return listed(said, texts)


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
    parts: dict[str, Part] = field(default_factory=dict[str, Part])
    """What it is about, or was lately, the newest last."""
    polled_at: float = 0.0
    spoken_at: float = 0.0
    """When the condition held last."""

    @property
    def is_active(self) -> bool:
        return self.turns % 2 == 1

    @property
    def turned_at(self) -> float:
        return self.began_at if self.is_active else self.ended_at

    def standing(self) -> dict[str, Reasons]:
        """By each thing that its reason is about, what is said of it, the newest last."""
        return {subject: part.said for subject, part in self.parts.items() if part.seen_at == self.spoken_at}

    def news(self, heard: Container[str]) -> dict[str, Part]:
        """What it is about for long enough, of what is not among `heard`."""
        return {
            subject: part
            for subject, part in self.parts.items()
            if subject not in heard and part.seen_at == self.polled_at and part.seen_at - part.since >= self.after_s
        }

    def poll(self, now: float, texts: Texts) -> None:
        reason = self.condition()
        if reason is not None:
            self.reason = in_words(reason, texts)
            self.known_from, self.spoken_at = 0.0, now
        self._notice({} if reason is None else parts_of(reason), now, texts)
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
            for part in self.parts.values():
                part.is_logged = True
        else:
            self.parts.clear()
            self.ended_at = self.turning_since
            log.info("alarm_ended", alarm=self.name, lasted_s=self.ended_at - self.began_at)
        self.turning_since = None

    def _notice(self, said: dict[str, Reasons], now: float, texts: Texts) -> None:
        self.polled_at = now
        for subject, one in said.items():
            part = self.parts.get(subject)
            if part is None:
                part = self.parts[subject] = Part(one, since=now, seen_at=now)
            elif now - part.seen_at > _ABSENT_S:
                part.since = now
            part.said, part.seen_at = one, now
        for subject in [one for one, part in self.parts.items() if now - part.seen_at > FORGOTTEN_AFTER_S]:
            del self.parts[subject]
        if not self.is_active:
            return
        new = [part for part in self.news(()).values() if not part.is_logged]
        for part in new:
            part.is_logged = True
        if new:
            log.warning("alarm_grew", alarm=self.name, reason=said_of(new, texts))

    def recall(self, told: ReportedAlarm | None, now: float, time_of_day: datetime) -> None:
        """Begin anew, standing if somebody was told that it does; what was seen before is old."""
        self.turns, self.turning_since, self.known_from = 0, None, now + KNOWN_AFTER_S
        if told:
            self.turns, self.reason = 1, told.reason
            self.parts = {one: Part("", since=now, seen_at=now, is_logged=True) for one in told.about}
            self.began_at = now - max(0.0, (time_of_day - told.began_at).total_seconds())


@dataclass(slots=True)
class AdminChat:
    id: int
    told: dict[str, int] = field(default_factory=dict[str, int])
    """By alarm: the turn up to which this chat knows everything."""
    told_at: dict[str, deque[float]] = field(default_factory=dict[str, deque[float]])
    """By alarm: when something of it was told within the last hour."""
    heard: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    """By alarm that stands: what it is about, as far as this chat knows."""
    telling: frozenset[str] = frozenset()
    """Alarms whose beginning is being told: from now on this chat may believe them."""

    wrote: asyncio.Event = field(default_factory=asyncio.Event)
    """Somebody has written from there: it may take messages now."""

    def is_due(self, alarm: WatchedAlarm, now: float) -> bool:
        told, turned_at = self.told.get(alarm.name, 0), alarm.turned_at
        if heard := self.heard.get(alarm.name):
            self.heard[alarm.name] = heard & alarm.parts.keys()
        if told == alarm.turns:
            news = self.news(alarm)
            if not news:
                return False
            turned_at = min(part.since for part in news.values())
        recently = self.told_at.setdefault(alarm.name, deque())
        while recently and now - recently[0] >= HOUR_S:
            recently.popleft()
        if told % 2 and not alarm.is_active:
            return True
        room = MAX_REPORTS_PER_HOUR - len(recently)
        # What begins leaves room for the word that it is over.
        return room > int(alarm.is_active) or now - turned_at >= SETTLED_AFTER_S

    def news(self, alarm: WatchedAlarm) -> dict[str, Part]:
        """What an alarm has come to be about since this chat was told that it stands."""
        return alarm.news(self.heard.get(alarm.name, frozenset())) if alarm.is_active else {}

    def will_have_heard(self, alarm: WatchedAlarm) -> frozenset[str]:
        """What an alarm is about that this chat knows of once it has been told."""
        if self.told.get(alarm.name, 0) == alarm.turns:
            return self.heard.get(alarm.name, frozenset()) | self.news(alarm).keys()
        return frozenset(alarm.standing() if alarm.is_active else ())

    def note(self, told: Iterable[tuple[str, int, frozenset[str]]], now: float) -> None:
        """`told`: alarm, turn, and what it was about."""
        for name, turn, subjects in told:
            self.told[name], self.heard[name] = turn, subjects
            self.told_at[name].append(now)
