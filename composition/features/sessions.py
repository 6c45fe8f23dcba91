"""Accounts of Telegram that listen to the channels that are read. Nothing where no session file is."""

from __future__ import annotations

from bot.jobs import JobSpec
from bot.roles import LISTEN as LEASE
from composition.feature import Alarm, Base, Feature
from managers.channels.session_library import telethon
from runtime.clock import now
from services.channels.figures import accounts_lost, show_sessions
from services.channels.listed import ListedChannels
from services.channels.sessions import SessionsService
from services.channels.turns import ChannelTurns
from services.cluster.leases import Leases
from services.running.controls import Controls

LISTEN = JobSpec(
    name="channel accounts",
    does="listens to channels with accounts of Telegram, each under a lease of its own",
    roles=frozenset({"all", "listen"}),
    phase="intake",
    lease=LEASE,
)
JOBS = (LISTEN,)


def build(base: Base) -> Feature:
    turns, accounts = base.find(ChannelTurns), base.connections.accounts
    if turns is None:
        return Feature()
    listed = base.of(ListedChannels)
    sessions = SessionsService(
        accounts=accounts,
        turns=turns,
        listed=listed,
        leases=base.of(Leases),
        clock=now,
        rests=lambda: base.of(Controls).feed_rests,
    )
    if accounts:
        telethon()
        _tell_of_changes(listed, sessions)
        show_sessions(base.metrics, sessions, turns)
    return Feature(
        parts=[sessions],
        jobs=[LISTEN.run_by(sessions.run)] if accounts else [],
        alarms=[Alarm("account lost", accounts_lost(sessions.accounts))],
    )


def _tell_of_changes(listed: ListedChannels, sessions: SessionsService) -> None:
    told_before = listed.changed

    def changed() -> None:
        told_before()
        sessions.wake()

    listed.changed = changed
