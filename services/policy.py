"""Remembers what came up for those who want only so many alerts an hour, and decides with it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from domain.policy import HOUR, CameUp, Send, Verdict, Withhold, decide, why_no_alerts
from domain.subscribers import Subscriber
from managers.redis import Command, RedisManager
from services import keys
from services.claims import Alert, milliseconds
from services.persistence import persistently

_MOST = 10_000
"""Alerts of one hour that are looked at."""


class PolicyService:
    def __init__(self, redis: RedisManager) -> None:
        self._redis = redis

    async def decide(self, subscriber: Subscriber, alerts: Sequence[Alert], now: datetime) -> list[Verdict]:
        """Decide alerts that wait together, as many as go out now: the best by score take the slots that are left."""
        capped = subscriber.preferences.alerts_per_hour is not None
        recent = await persistently(lambda: self.came_up(subscriber.user_id, now)) if capped else []
        verdicts: dict[int, Verdict] = {}
        for index in sorted(range(len(alerts)), key=lambda index: -alerts[index].score):
            alert = alerts[index]
            if alert.kind == "digest":
                # It was held back before; only who receives nothing at all does not get it.
                reason = why_no_alerts(subscriber, now)
                verdicts[index] = Withhold(reason) if reason else Send()
                continue
            verdict = decide(subscriber, token_address=alert.token_address, score=alert.score, now=now, recent=recent)
            verdicts[index] = verdict
            if capped:
                recent.append(CameUp(now, alert.score, isinstance(verdict, Send)))
        return [verdicts[index] for index in range(len(alerts))]

    async def came_up(self, user_id: int, now: datetime) -> list[CameUp]:
        """Return what came up in the last hour."""
        least = milliseconds(now - HOUR) + 1
        found = await self._redis.zrange_by_score(keys.CAME_UP.of(user_id), least=least, count=_MOST)
        return [_read(member, at_ms) for member, at_ms in found]


def note_commands(subscriber: Subscriber, alerts: Sequence[Alert], now: datetime, *, sent: bool) -> list[Command]:
    """Return the commands that remember alerts for the cap; nothing without one. May be executed again."""
    if subscriber.preferences.alerts_per_hour is None or not alerts:
        return []
    key = keys.CAME_UP.of(subscriber.user_id)
    members = [part for alert in alerts for part in (milliseconds(now), came_up_member(alert, sent=sent))]
    return [
        ("ZADD", key, *members),
        ("ZREMRANGEBYSCORE", key, "-inf", milliseconds(now - HOUR)),
        ("EXPIRE", key, keys.CAME_UP.expires_s),
    ]


def came_up_member(alert: Alert, *, sent: bool) -> str:
    return f"{'sent' if sent else 'held'}:{alert.score}:{alert.call_id}"


def _read(member: str, at_ms: float) -> CameUp:
    what, score, _ = member.split(":", 2)
    return CameUp(datetime.fromtimestamp(at_ms / 1000, UTC), int(score), what == "sent")
