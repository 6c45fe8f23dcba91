"""When something is wrong with this process: what it uses, what it sends, who lets it in, and whether its jobs move."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

from services.monitoring.conditions import (
    FULL_SHARE,
    GREW_WITHIN_S,
    MIB,
    Condition,
    Growth,
    Reason,
    Reasons,
    about,
    because,
)
from services.monitoring.memory import MemoryUse
from services.providers.asked import AskedProviders, ProviderHealth

FEED_AWAY_S: Final = 60.0
REDIS_ESCALATES_S: Final = 300.0
NO_PROGRESS_S: Final = 60.0
"""Long before the watchdog gives the process up; whoever waits for a reason reports much more often."""
PAUSES_S: Final = 5.0
"""What was well for less than this was not over."""
TAKEN_SHARE: Final = 0.8
"""Of what leaves for Telegram; what goes to those who have blocked the bot does not count."""
JUDGED_FROM: Final = 20
"""Attempts: of fewer, nothing follows."""
_MINUTES: Final = f"{GREW_WITHIN_S / 60:.0f}"


class Lasting:
    """Wrong when another condition has held for so long, but for moments: the same matter, told a second time."""

    def __init__(self, condition: Condition, for_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._condition = condition
        self._for_s = for_s
        self.clock = clock
        self._since: float | None = None
        self._held_at = 0.0

    def __call__(self) -> Reasons | None:
        now, reason = self.clock(), self._condition()
        if reason is not None:
            self._since = now if self._since is None else self._since
            self._held_at = now
        elif self._since is not None and now - self._held_at >= PAUSES_S:
            self._since = None
        return reason if self._since is not None and now - self._since >= self._for_s else None


def redis_escalated(problem: Callable[[], str | None]) -> Condition:
    def reason() -> Reason | None:
        said = problem()
        minutes = f"{REDIS_ESCALATES_S / 60:.0f}"
        return None if said is None else because("alarm.redis_escalated", problem=said, minutes=minutes)

    return Lasting(reason, REDIS_ESCALATES_S)


def memory_filling(use: Callable[[], MemoryUse | None]) -> Condition:
    """`use`: as last seen; `None` where there is no limit."""

    def reason() -> Reason | None:
        known = use()
        if known is None or known.used_bytes <= FULL_SHARE * known.limit_bytes:
            return None
        used, limit = f"{known.used_bytes / MIB:,.0f}", f"{known.limit_bytes / MIB:,.0f}"
        return because("alarm.memory_filling", used=used, limit=limit, kind=known.kind)

    return reason


def jobs_stuck(ages_s: Callable[[float], Mapping[str, float]]) -> Condition:
    """`ages_s`: which jobs have reported no progress for longer than that, and for how long."""

    def reason() -> Reason | None:
        stuck = ages_s(NO_PROGRESS_S)
        if not stuck:
            return None
        names = ", ".join(sorted(stuck))
        return about(sorted(stuck), because("alarm.jobs_stuck", jobs=names, seconds=f"{max(stuck.values()):,.0f}"))

    return reason


def access_denied(denied: Callable[[], Mapping[str, str]], variables: Mapping[str, str] | None = None) -> Condition:
    """`denied`: by host, why it does not let us in, or why we do not trust it; `variables`: what is to be checked."""
    named = variables or {}

    def reason() -> tuple[Reason, ...] | None:
        found = sorted(denied().items())
        return tuple(about(host, _denies(host, why, named.get(host))) for host, why in found) or None

    return reason


def providers_failing(asked: AskedProviders) -> Condition:
    """Who does not let us in at all is an alarm of its own."""

    def reason() -> tuple[Reason, ...] | None:
        return tuple(_fails(one) for one in asked.failing() if not one.is_denied) or None

    return reason


def _fails(one: ProviderHealth) -> Reason:
    minutes, problem = f"{one.failing_for_s / 60:,.0f}", one.problem or "?"
    said = because("alarm.provider_fails", source=one.name, host=one.host.host, minutes=minutes, problem=problem)
    return about(one.name, said)


def _denies(host: str, why: str, variables: str | None) -> Reason:
    if variables is None:
        return because("alarm.access_denied", host=host, problem=why)
    return because("alarm.access_denied_with", host=host, problem=why, variables=variables)


class SendsFail:
    """Wrong while Telegram took too small a share of what was sent within the last ten minutes."""

    def __init__(
        self, outcomes: Callable[[], Mapping[str, int]], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`outcomes`: how many attempts ended how, since the start; `taken` is the good one."""
        self._outcomes = outcomes
        self.clock = clock
        self._growth: dict[str, Growth] = {}

    def __call__(self) -> Reason | None:
        came = {outcome: self._grew(outcome, count) for outcome, count in self._outcomes().items()}
        taken, failed = came.pop("taken", 0), sum(came.values())
        if taken + failed < JUDGED_FROM or taken >= TAKEN_SHARE * (taken + failed):
            return None
        most = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(came.items()) if count)
        share = f"{100 * taken / (taken + failed):.0f}"
        return because("alarm.sends_fail", share=share, count=f"{taken + failed:,}", minutes=_MINUTES, outcomes=most)

    def _time(self) -> float:
        return self.clock()

    def _grew(self, outcome: str, count: int) -> int:
        growth = self._growth.get(outcome)
        if growth is None:
            growth = self._growth[outcome] = Growth(self._time)
            growth.by(0)
        return growth.by(count)
