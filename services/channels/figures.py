"""What reading channels says of itself: numbers for /metrics, and a line for `/health`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import numpy as np

from managers.channels.noted import NotedReader
from services.channels.accounts import AccountsService
from services.channels.conditions import problems, stalls
from services.channels.history import CallHistory
from services.channels.polling import PollingService
from services.channels.resolving import Resolver
from services.channels.rows import ChannelRows, Unresolved
from services.channels.sessions import SessionsService
from services.channels.taking import TakingService
from services.channels.turns import ChannelTurns
from services.monitoring.conditions import Condition, Reason, about, because
from services.monitoring.health import Check, PartHealth
from services.monitoring.metrics import Metrics
from services.monitoring.readings import Reading

QUANTILES = (0.5, 0.95)


def show_calls(
    metrics: Metrics,
    taking: TakingService,
    resolver: Resolver,
    history: CallHistory,
    rows: ChannelRows,
    waiting: Reading[Unresolved],
) -> None:
    metrics.counter_each(
        "channel_posts",
        "Posts of channels that were read, by verdict; edits are not counted.",
        "verdict",
        lambda: taking.verdicts,
    )
    metrics.counter_each(
        "channel_post_reasons", "The same, by reason (docs/posts.md).", "reason", lambda: taking.reasons
    )
    metrics.counter("channel_calls", "Calls of channels that were written down.", lambda: taking.calls)
    metrics.gauge(
        "unresolved_calls",
        "Calls of which nobody knows yet what token they mean.",
        lambda: (v := waiting.value) and v.calls,
    )
    metrics.counter("unresolved_calls_resolved", "Those of which somebody knew, later.", lambda: resolver.resolved)
    metrics.counter("unresolved_calls_given_up", "Those of which nobody did.", lambda: resolver.given_up)
    metrics.counter(
        "channel_posts_refused", "Posts that the store would not take, and were passed over.", lambda: taking.refused
    )
    metrics.counter(
        "channel_rows_unreadable", "What was kept of channels and could not be read.", lambda: len(rows.unreadable)
    )
    metrics.gauge("feed_readers", "Who reads the feed of these calls by now.", lambda: history.readers)


def show_polling(metrics: Metrics, polling: PollingService) -> None:
    counts = polling.counts
    metrics.gauge("channels_read", "Channels that are read here.", lambda: len(polling.listed()))
    metrics.gauge_each(
        "channels_closed", "Those of them that cannot be read, by why.", "problem", lambda: problems(polling.listed())
    )
    metrics.gauge(
        "channels_blocked", "1: nothing can be read at the moment.", lambda: float(polling.blocked_since is not None)
    )
    metrics.counter_each(
        "channel_requests",
        "Looks at channels, and what they needed and came to.",
        "what",
        lambda: {
            "looks": counts.looks,
            "requests": counts.requests,
            "paged_back": counts.paged_back,
            "blocked": counts.blocked,
            "failed": counts.failed,
            "gaps_cut": counts.cut,
        },
    )
    metrics.counter(
        "channel_posts_unreadable", "Posts that could not be read, and were skipped.", lambda: counts.unreadable
    )
    metrics.gauge_each(
        "channel_post_age_seconds",
        "How old the latest posts were when they were read.",
        "quantile",
        lambda: ages(polling.ages_s),
    )


def ages(latest_s: Sequence[float]) -> dict[str, float]:
    """Return quantiles by their share; none where nothing was read."""
    if not latest_s:
        return {}
    found = np.quantile(latest_s, QUANTILES)
    return {f"{share:g}": float(value) for share, value in zip(QUANTILES, found, strict=True)}


class OwnPages:
    """What this process reads of channels, for whoever tells of the feed that it makes of them."""

    def __init__(self, reader: NotedReader, polling: PollingService, clock: Callable[[], datetime]) -> None:
        self._reader = reader
        self.polling: Final = polling
        self._clock = clock
        self._stalled = stalls(polling.silent_s)

    @property
    def age_s(self) -> float | None:
        """Seconds since a page came; `None` before the first."""
        last = self._reader.last_page_at
        return None if last is None else max(0.0, (self._clock() - last).total_seconds())

    @property
    def problem(self) -> str | None:
        """Why nothing is read."""
        if self.polling.blocked_since is not None:
            return f"blocked since {self.polling.blocked_since:%H:%M} UTC: {self.polling.blocked_because}"
        if isinstance(self._stalled(), Reason):
            return f"nothing read for {self.polling.silent_s()[0]:.0f} s"
        return None


def reading_health(pages: OwnPages, reads: Callable[[], bool]) -> Check:
    async def health() -> PartHealth:
        if not reads():
            return PartHealth(name="channels", ok=True, detail="read by another process")
        if (problem := pages.problem) is not None:
            return PartHealth(name="channels", ok=False, detail=problem)
        channels = pages.polling.listed()
        wrong = sum(one.problem is not None for one in channels)
        return PartHealth(name="channels", ok=True, detail=f"read: {len(channels)}; cannot be read: {wrong}")

    return health


def accounts_lost(accounts: AccountsService) -> Condition:
    def reasons() -> tuple[Reason, ...] | None:
        found = tuple(
            about(
                one.name,
                because(
                    "alarm.account_lost",
                    account=one.name,
                    problem=one.lost_because,
                    left=str(len(accounts.living)),
                    count=str(len(accounts.all)),
                ),
            )
            for one in accounts.lost
        )
        return found or None

    return reasons


def show_sessions(metrics: Metrics, sessions: SessionsService, turns: ChannelTurns) -> None:
    accounts, counts = sessions.accounts, sessions.counts
    metrics.gauge("channel_accounts", "Accounts of Telegram that may listen.", lambda: len(accounts.all))
    metrics.gauge("channel_accounts_listening", "Those that do.", lambda: len(accounts.living))
    metrics.gauge("channel_accounts_lost", "Those that Telegram lets in no more.", lambda: len(accounts.lost))
    metrics.gauge("channels_followed", "Channels whose posts come by themselves.", lambda: turns.followed)
    metrics.counter("account_posts_heard", "Posts and edits that came by themselves.", lambda: counts.heard)
    metrics.counter("account_sweeps", "How often an account looked back at a channel.", lambda: counts.sweeps)
    metrics.counter("account_gaps", "Posts that did not follow on what was read.", lambda: counts.gaps)
    metrics.counter("account_gaps_cut", "Gaps longer than is read back to.", lambda: counts.cut)
    metrics.counter("account_requests", "Pages that accounts asked for.", lambda: counts.requests)
    metrics.counter("account_waits", "How often Telegram told an account to wait.", lambda: counts.blocked)
    metrics.counter("account_failures", "Looks that failed for another reason.", lambda: counts.failed)
    metrics.counter("account_posts_unreadable", "Posts that could not be read.", lambda: counts.unreadable)
