"""Channels that are read, and their calls served as a feed: to this bot, and to others that have the token."""

from __future__ import annotations

from functools import partial
from typing import Final

from msgspec.structs import replace

from bot.jobs import JobSpec
from bot.lifecycle import Steps
from bot.roles import LISTEN as LEASE
from bot.roles import Role
from composition.feature import Base, Feature
from domain.calls.addresses import as_kept, is_evm
from domain.calls.events import Channel, Token
from domain.prices.readings import TokenRef
from managers.feed.sources.native import NativeSource
from runtime.clock import now
from runtime.retry import retry_until_done
from services.calls.decisive import FACE
from services.channels.history import CallHistory
from services.channels.listed import ListedChannels
from services.channels.polling import PollingService
from services.channels.resolving import Resolver
from services.channels.rows import ChannelRows
from services.channels.taking import TakingService
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
    settings, postgres, role = base.settings, base.connections.postgres, base.place.role
    rows = ChannelRows(postgres)
    listed = ListedChannels(postgres, rows, now)
    reads_own = settings.source == "channels" and role == "all"
    source = base.connections.source if reads_own else None
    own = OwnFeed(source if isinstance(source, NativeSource) else None)
    if role not in LISTENING or (role == "all" and not reads_own):
        return Feature(parts=[own], services=[listed])
    history = CallHistory(postgres, rows, now)
    figures = base.of(FiguresService)
    resolver = Resolver(
        lookups=base.connections.lookups,
        rows=rows,
        is_token=partial(_is_token, figures),
        clock=now,
        written=history.wake,
    )
    taking = TakingService(rows=rows, resolver=resolver, clock=now, written=history.wake)
    jobs = [RESOLVE.run_by(resolver.run), TIDY.run_by(history.run)]
    parts: list[object] = [own, history, resolver, taking]
    connection = base.connections.channels
    if connection is not None:
        polling = PollingService(
            reader=connection.reader,
            taking=taking,
            listed=listed,
            requests_per_s=connection.access.requests_per_s,
            at_least_s=connection.access.pause_s,
            clock=now,
            rests=lambda: base.of(Controls).feed_rests,
        )
        listed.changed = polling.wake
        parts.append(polling)
        jobs.append(READ.run_by(polling.run))
    feed = ChannelFeed(
        history=history,
        token=base.connections.listen_token,
        clock=now,
        channel=partial(_channel, base, rows),
        token_of=partial(_token, figures),
    )
    return Feature(
        parts=parts,
        services=[listed],
        jobs=jobs,
        steps=Steps(load=partial(_configured, base, listed)),
        routes=[feed.router],
    )


async def _configured(base: Base, listed: ListedChannels) -> None:
    channels = base.connections.channels
    if channels is not None:
        await retry_until_done(partial(listed.configured, channels.access.channels))


async def _channel(base: Base, rows: ChannelRows, channel: str, _: str | None) -> Channel | None:
    """Tell a channel with what became of its calls here."""
    found = await rows.find(channel)
    if found is None:
        return None
    records = await base.of(RecordServices).records.find("channel", channel)
    told = Channel(id=channel) if records is None else channel_of(channel, records)
    return replace(told, title=found.title)


async def _is_token(figures: FiguresService, token: TokenRef) -> bool:
    return bool(await figures.of([token], waits_for=frozenset({"price_usd"}), within_s=_ASKED_FOR_S))


async def _token(figures: FiguresService, address: str, chain: str | None) -> Token | None:
    """Tell what is known of a token soon: whoever asks waits two seconds at most, and for who is slow less."""
    token = TokenRef(as_kept(address), chain or ("ethereum" if is_evm(address) else "solana"))
    await figures.of([token], waits_for=FACE, within_s=_ASKED_FOR_S - _REST_FOR_S)
    return (await figures.of([token], within_s=_REST_FOR_S)).get(token.key)
