"""Channels that are read, and their calls served as a feed: to this bot, and to others that have the token."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, Final

import msgspec

from bot.jobs import JobSpec
from bot.lifecycle import Steps
from bot.roles import LISTEN as LEASE
from bot.roles import Role
from composition.feature import Alarm, Base, Feature
from domain.calls.addresses import as_kept, is_evm
from domain.calls.events import Channel, Token
from domain.prices.readings import TokenRef
from managers.channels.noted import NotedReader
from managers.feed.sources.native import NativeSource
from runtime.clock import now
from runtime.counted import counted, fitting
from runtime.retry import retry_until_done
from services.calls.decisive import FACE
from services.channels.conditions import (
    BLOCKED_AFTER_S,
    Blocked,
    blocked,
    calls_no_more,
    closed,
    stalls,
    unresolved_wait,
)
from services.channels.figures import OwnPages, reading_health, show_calls, show_polling
from services.channels.group import ChannelServices
from services.channels.history import CallHistory
from services.channels.listed import ListedChannels
from services.channels.notices import SuggestionComposer, SuggestionNotices
from services.channels.polling import PollingService
from services.channels.posts import PostLookup
from services.channels.resolving import Resolver
from services.channels.rows import ChannelRows
from services.channels.taking import TakingService
from services.channels.turns import ChannelTurns
from services.claims.putting import Putting
from services.cluster.leases import Leases
from services.cluster.members import Members
from services.monitoring.conditions import while_so
from services.monitoring.readings import Reading
from services.providers.figures import FiguresService
from services.running.controls import Controls
from services.tracking.records.channel_info import channel_of
from services.tracking.records.group import RecordServices
from web.channel_feed import PREFIX, ChannelFeed

LISTENING: Final[frozenset[Role]] = frozenset({"all", "listen"})

READ = JobSpec(name="channel posts", does="reads channels in turn", roles=LISTENING, phase="intake", lease=LEASE)
RESOLVE = JobSpec(
    name="unresolved calls", does="asks again what token a call means", roles=LISTENING, phase="intake", lease=LEASE
)
TIDY = JobSpec(name="channel history", does="lets old posts and their calls go", roles=LISTENING, lease=LEASE)
JOBS = (READ, RESOLVE, TIDY)
_ASKED_FOR_S: Final = 1.5
_REST_FOR_S: Final = 0.7
"""Once a card can be made, whoever knows the rest is waited for so long."""


class OwnFeed:
    """Where the feed of this process is served, once that is known."""

    def __init__(self, source: NativeSource | None) -> None:
        self._source = source

    def serves_at(self, host: str, port: int) -> None:
        if self._source is None:
            return
        reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - what is listened at
        place = f"[{reached}]:{port}" if ":" in reached else f"{reached}:{port}"
        self._source.moved(f"ws://{place}{PREFIX}", f"http://{place}{PREFIX}")


def build(base: Base) -> Feature:
    postgres, role = base.connections.postgres, base.place.role
    rows = ChannelRows(postgres)
    listed = ListedChannels(postgres, rows, now)
    listed.decided = SuggestionNotices(base.of(Putting), now).tell
    reads_own = base.connections.source.name == "channels" and role == "all"
    source = base.connections.source if reads_own else None
    own = OwnFeed(source if isinstance(source, NativeSource) else None)
    chat = ChannelServices(
        listed=listed, posts=PostLookup(rows), reads=lambda: reads_own or _is_read_elsewhere(base.of(Members))
    )
    kinds = [SuggestionComposer(base.texts).row()]
    if role not in LISTENING or (role == "all" and not reads_own):
        return Feature(parts=[own, listed], services=[chat], kinds=kinds)
    history = CallHistory(postgres, rows, now)
    is_token = partial(_is_token, base.of(FiguresService))
    lookups = base.connections.lookups
    resolver = Resolver(lookups=lookups, rows=rows, is_token=is_token, clock=now, written=history.wake)
    taking = TakingService(rows=rows, resolver=resolver, clock=now, written=history.wake)
    waiting = Reading(rows.waiting)
    show_calls(base.metrics, taking, resolver, history, rows, waiting)
    turns = ChannelTurns(taking)
    pages = _pages(base, listed, turns)
    polling = pages.polling if pages else None
    reading = [polling, *([pages] if reads_own else ())] if pages else []
    return Feature(
        parts=[own, listed, history, resolver, taking, turns, *reading],
        services=[replace(chat, **_seen_here(polling, taking)) if polling else chat],
        kinds=kinds,
        jobs=[
            RESOLVE.run_by(resolver.run),
            TIDY.run_by(history.run),
            *([READ.run_by(polling.run)] if polling else ()),
        ],
        steps=Steps(load=partial(_configured, base, listed)),
        routes=[_feed(base, rows, history).router],
        health={"channels": reading_health(pages, partial(_reads, base))} if pages else {},
        alarms=[
            Alarm("unresolved calls", unresolved_wait(waiting, now)),
            *(_alarms(base, polling, taking) if polling else ()),
        ],
        readings=[waiting],
    )


def _feed(base: Base, rows: ChannelRows, history: CallHistory) -> ChannelFeed:
    return ChannelFeed(
        history=history,
        token=base.connections.listen_token,
        clock=now,
        channel=partial(_channel, base, rows),
        token_of=partial(_token, base.of(FiguresService)),
    )


def _pages(base: Base, listed: ListedChannels, turns: ChannelTurns) -> OwnPages | None:
    connection = base.connections.channels
    if connection is None:
        return None
    reader = NotedReader(connection.reader, now)
    polling = PollingService(
        reader=reader,
        turns=turns,
        listed=listed,
        requests_per_s=connection.access.requests_per_s,
        at_least_s=connection.access.pause_s,
        clock=now,
        rests=lambda: base.of(Controls).feed_rests,
    )
    listed.changed = polling.wake
    show_polling(base.metrics, polling)
    return OwnPages(reader, polling, now)


def _seen_here(polling: PollingService, taking: TakingService) -> dict[str, Any]:
    """What the conversation sees of a process that reads."""
    return {
        "interval_of": polling.interval_of,
        "silent": taking.silent,
        "blocked": partial(_blocked, polling),
    }


def _alarms(base: Base, polling: PollingService, taking: TakingService) -> list[Alarm]:
    here = partial(while_so, partial(_reads, base))
    return [
        Alarm("channels blocked", here(blocked(partial(_blocked, polling))), after_s=BLOCKED_AFTER_S),
        Alarm("channels closed", here(closed(polling.listed, now))),
        Alarm("channels without calls", here(calls_no_more(polling.listed, taking.silent))),
        Alarm("channels unread", here(stalls(polling.silent_s))),
    ]


def _blocked(polling: PollingService) -> Blocked | None:
    return polling.blocked_since and Blocked(polling.blocked_since, polling.blocked_because)


def _reads(base: Base) -> bool:
    """Whether it is this process that reads."""
    return base.place.role == "all" or base.of(Leases).is_valid(LEASE)


def _is_read_elsewhere(members: Members) -> bool:
    return any(one.owner != members.owner for one in members.living("listen"))


async def _configured(base: Base, listed: ListedChannels) -> None:
    channels = base.connections.channels
    if channels is not None:
        configured = channels.access.channels
        await retry_until_done(partial(listed.configured, configured))
        read = (await retry_until_done(listed.to_read)).keys()
        added = len(read - set(configured))
        are = fitting(len(read), "is", "are")
        base.terminal.say(f"{counted(len(read), 'channel')} {are} read; added in the chat: {added:,}.")


async def _channel(base: Base, rows: ChannelRows, channel: str, _: str | None) -> Channel | None:
    """Tell a channel with what became of its calls here."""
    found = await rows.find(channel)
    if found is None:
        return None
    records = await base.of(RecordServices).records.find("channel", channel)
    told = Channel(id=channel) if records is None else channel_of(channel, records)
    return msgspec.structs.replace(told, title=found.title)


async def _is_token(figures: FiguresService, token: TokenRef) -> bool:
    return bool(await figures.of([token], waits_for=frozenset({"price_usd"}), within_s=_ASKED_FOR_S))


async def _token(figures: FiguresService, address: str, chain: str | None) -> Token | None:
    """Tell what is known of a token soon: whoever asks waits two seconds at most, and for who is slow less."""
    token = TokenRef(as_kept(address), chain or ("ethereum" if is_evm(address) else "solana"))
    await figures.of([token], waits_for=FACE, within_s=_ASKED_FOR_S - _REST_FOR_S)
    return (await figures.of([token], within_s=_REST_FOR_S)).get(token.key)
