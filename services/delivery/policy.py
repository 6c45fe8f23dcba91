"""Remembers what came up for those who want only so many alerts an hour, and decides with it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from cachetools import LRUCache

from domain.delivery.policy import (
    BEYOND_CAP,
    HOUR,
    Delay,
    HeldBack,
    Hold,
    RecentAlert,
    Rules,
    Send,
    Verdict,
    beyond_cap,
    decide,
    held_back,
    smaller_cap,
)
from domain.payments.plans import Plans
from domain.stored.alerts import Alert
from domain.stored.outgoing import Outgoing
from domain.subscribers.subscriber import Subscriber
from managers.redis.client import Command, RedisManager, RedisUnavailableError
from runtime.clock import milliseconds
from services.stores import keys

_REMEMBERED = 5_000
_MAX_READ = 10_000
"""Alerts of one hour that are looked at."""


class PolicyService:
    def __init__(self, redis: RedisManager, plans: Plans) -> None:
        self._redis = redis
        self._plans = plans
        self._remembered: LRUCache[int, dict[str, RecentAlert]] = LRUCache(_REMEMBERED)
        """By user and call, for the time when Redis is unavailable."""

    async def decide(
        self, subscriber: Subscriber, outgoing: Sequence[Outgoing], rules: Sequence[Rules], now: datetime
    ) -> list[Verdict]:
        """Decide what waits together, each by its rules; as many alerts as go out now, the best by score first."""
        capped = self.is_capped(subscriber)
        alerts = [one for one in outgoing if isinstance(one, Alert)]
        recent = await self._recent(subscriber.user_id, alerts, now) if capped and alerts else []
        verdicts: dict[int, Verdict] = {}
        for index in sorted(range(len(outgoing)), key=lambda index: -_score_of(outgoing[index])):
            one, rule = outgoing[index], rules[index]
            verdict = decide(
                subscriber,
                token_address=one.token_address if isinstance(one, Alert) else "",
                score=_score_of(one),
                decided_at=one.decided_at,
                now=now,
                recent=recent,
                rules=rule,
                plan=self._plans.of(subscriber.plan),
            )
            verdicts[index] = verdict
            if capped and rule.is_capped and competes(verdict):
                recent_alerts = RecentAlert(now, _score_of(one), isinstance(verdict, Send))
                recent.append(recent_alerts)
                self._remembered.setdefault(subscriber.user_id, {})[one.key] = recent_alerts
        return [verdicts[index] for index in range(len(outgoing))]

    def is_capped(self, subscriber: Subscriber) -> bool:
        """Whether they, or their plan, limit the alerts per hour: only then it is remembered what came up."""
        return self.per_hour(subscriber) is not None

    def per_hour(self, subscriber: Subscriber) -> int | None:
        """How many alerts they get an hour; `None`: as many as pass."""
        return smaller_cap(subscriber.preferences.alerts_per_hour, self._plans.of(subscriber.plan).alerts_per_hour)

    async def held_back(self, subscriber: Subscriber, now: datetime) -> HeldBack | None:
        """What holds alerts back now, if they receive any at all; while Redis is unavailable, as far as memory goes."""
        held, cap = held_back(subscriber.preferences, now), self.per_hour(subscriber)
        if held is not None or cap is None:
            return held
        return beyond_cap(cap, now, await self._recent(subscriber.user_id, [], now))

    def due_at(self, subscriber: Subscriber, since: datetime) -> datetime:
        """When an alert that came at this time is due by the subscriber's plan."""
        return since + self._plans.of(subscriber.plan).delay

    async def recent_alerts(self, user_id: int, now: datetime) -> list[RecentAlert]:
        """Return what came up in the last hour."""
        return list((await self._stored(user_id, now)).values())

    async def _recent(self, user_id: int, alerts: Sequence[Alert], now: datetime) -> list[RecentAlert]:
        """Return what came up before these alerts; while Redis is unavailable, as far as memory goes."""
        try:
            known = self._remembered[user_id] = await self._stored(user_id, now)
        except RedisUnavailableError:
            known = self._remembered.get(user_id, {})
        mine = {alert.call_id for alert in alerts}
        return [one for call_id, one in known.items() if call_id not in mine and now - one.at < HOUR]

    async def _stored(self, user_id: int, now: datetime) -> dict[str, RecentAlert]:
        least = milliseconds(now - HOUR) + 1
        found = await self._redis.zrange_by_score(keys.RECENT_ALERTS.of(user_id), least=least, count=_MAX_READ)
        return dict(_read(member, at_ms) for member, at_ms in found)


def _score_of(outgoing: Outgoing) -> int:
    return outgoing.score if isinstance(outgoing, Alert) else 0


def competes(verdict: Verdict) -> bool:
    """Whether an alert counts among those from which the best of the hour are chosen: it could have been sent now."""
    if isinstance(verdict, Delay):
        return False
    return not isinstance(verdict, Hold) or verdict.reason in {"quiet", *BEYOND_CAP}


def note_commands(user_id: int, alerts: Sequence[Alert], now: datetime, *, sent: bool) -> list[Command]:
    """Return the commands that remember alerts for the cap. May be executed again."""
    if not alerts:
        return []
    key = keys.RECENT_ALERTS.of(user_id)
    members = [part for alert in alerts for part in (milliseconds(now), recent_alert_member(alert, sent=sent))]
    return [
        ("ZADD", key, *members),
        ("ZREMRANGEBYSCORE", key, "-inf", milliseconds(now - HOUR)),
        ("EXPIRE", key, keys.RECENT_ALERTS.expires_s),
    ]


def recent_alert_member(alert: Alert, *, sent: bool) -> str:
    return f"{'sent' if sent else 'held'}:{alert.score}:{alert.call_id}"


def _read(member: str, at_ms: float) -> tuple[str, RecentAlert]:
    what, score, call_id = member.split(":", 2)
    return call_id, RecentAlert(datetime.fromtimestamp(at_ms / 1000, UTC), int(score), what == "sent")
