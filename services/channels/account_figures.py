"""What is shown of accounts that listen, and when an admin should know of one."""

from __future__ import annotations

from services.channels.accounts import AccountsService
from services.channels.sessions import SessionsService
from services.channels.turns import ChannelTurns
from services.monitoring.conditions import Condition, Reason, about, because
from services.monitoring.metrics import Metrics


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
