"""Commands for Redis: one round trip for a batch of calls, and more work only for who is newly accepted.

The bot's own services decide and claim batches of calls against an embedded Redis. Each call passes the sets of a
fixed number of subscribers, however many there are. Counted twice: by RedisManager (what left the bot) and by the
server (`INFO commandstats`, which counts what scripts execute as well). The straightforward bot does the same.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from msgspec.structs import replace
from redis import asyncio as redis

from benchmarks.kit.report import Row, at_most, for_comparison
from benchmarks.kit.straightforward import StraightforwardBot
from benchmarks.kit.traffic import Mix, Traffic
from bot.console import Terminal
from composition import Addresses, Composition, connect
from config.settings import Settings
from domain.calls.events import Call
from domain.filters.registry import FilterSet, Range
from domain.matching.matcher import Matcher
from embedded.postgres import EmbeddedPostgres
from embedded.valkey import EmbeddedRedis
from managers.redis.client import RedisManager
from migrations import migrate
from services.calls.channels import ChannelsService
from services.calls.decisions import DecisionsService
from services.calls.tokens import TokensService
from services.claims.outbox import Outbox
from services.cluster.leases import Leases
from services.subscribers.group import SubscriberServices

SIZES = (1_000, 100_000)
QUICK_SIZES = (100, 1_000)
ACCEPTED_PER_CALL = 5
BATCH = 64
BATCHES = 16
PEER_CALLS = 1
FIRST_USER = 2**32
EVERY_CALL, NO_CALL = Range(minimum=0.0), Range(minimum=1e15)
NOWHERE = "127.0.0.1:9"
"""Telegram and the feed are not asked for anything here."""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="few sets, to see that it works")


def run(arguments: argparse.Namespace) -> list[Row]:
    return asyncio.run(_measure(QUICK_SIZES if arguments.quick else SIZES))


@dataclass(frozen=True, slots=True)
class Spent:
    round_trips: int
    sent: int
    """Commands that left the bot."""
    executed: int
    """Commands that the server executed, those of scripts included."""
    calls: int
    accepted: int


async def _measure(sizes: tuple[int, int]) -> list[Row]:
    rows: list[Row] = []
    per_call: list[float] = []
    for size in sizes:
        nobody = await _ours(size, accepted_per_call=0)
        some = await _ours(size, accepted_per_call=ACCEPTED_PER_CALL)
        peer = await _straightforward(size)
        per_call.append(some.executed / some.calls)
        pair = (some.executed - nobody.executed) / some.accepted
        rows += [
            at_most(f"{size:,} sets: round trips for a batch of {BATCH} calls", some.round_trips / BATCHES, "", 1),
            at_most(f"{size:,} sets: commands sent for a batch", some.sent / BATCHES, "", 1),
            for_comparison(f"{size:,} sets: executed per call that nobody wants", nobody.executed / nobody.calls, ""),
            for_comparison(f"{size:,} sets: executed more per newly accepted pair", pair, ""),
            for_comparison(f"{size:,} sets: executed per call that {ACCEPTED_PER_CALL} want", per_call[-1], ""),
            for_comparison(f"{size:,} sets: straightforward bot, sent and executed per call", peer, ""),
            for_comparison(f"{size:,} sets: straightforward bot against ours", peer / per_call[-1], "x"),
        ]
    few, many = sizes
    grown = per_call[1] - per_call[0]
    rows.append(at_most(f"{many:,} sets against {few:,}: executed more per call", grown, "", 0))
    return rows


async def _ours(size: int, *, accepted_per_call: int) -> Spent:
    sys.stderr.write(f"{size:,} sets, {accepted_per_call} want a call …\n")
    batches = list(_batches())
    async with _composed(size, accepted_per_call) as (composition, url):
        decisions, manager = _decisions(composition), composition.connections.redis
        await composition.of(Leases).acquire(["match:0"])  # as whoever decides has
        # Channels, scripts and connections are new once; that is not what a batch costs.
        await decisions.claim(await decisions.decide(batches[0]), None)
        accepted = composition.metrics.counts.alerts_claimed
        before, executed = _sent(manager), await _executed(url)
        for batch in batches[1:]:
            await decisions.claim(await decisions.decide(batch), None)
        after = _sent(manager)
        return Spent(
            round_trips=after[0] - before[0],
            sent=after[1] - before[1],
            executed=await _executed(url) - executed,
            calls=BATCH * BATCHES,
            accepted=composition.metrics.counts.alerts_claimed - accepted,
        )


def _decisions(composition: Composition) -> DecisionsService:
    return DecisionsService(
        matcher=composition.of(Matcher),
        channels=composition.of(ChannelsService),
        tokens=composition.of(TokensService),
        roster=composition.of(SubscriberServices).roster,
        outbox=composition.of(Outbox),
        metrics=composition.metrics,
        clock=lambda: datetime.now(UTC),
    )


def _sent(manager: RedisManager) -> tuple[int, int]:
    return manager.round_trips, manager.commands_sent


def _batches() -> Iterator[list[Call]]:
    """One to warm up with, then `BATCHES`; every call is of a new token, the channels are the same ones."""
    traffic, now = Traffic(Mix(interest=1.0, new_share=1.0)), datetime.now(UTC)
    first = [traffic.next_call(now) for _ in range(BATCH)]
    channels = [call.channel for call in first]
    yield first
    for _ in range(BATCHES):
        calls = [traffic.next_call(now) for _ in range(BATCH)]
        yield [replace(call, channel=channel) for call, channel in zip(calls, channels, strict=True)]


def _filter_sets(size: int, wanting: int) -> Iterator[FilterSet]:
    for number in range(size):
        rules = {"market_cap_usd": EVERY_CALL if number < wanting else NO_CALL}
        yield FilterSet(user_id=FIRST_USER + number, number=1, name="Mine", rules=dict(rules))


@asynccontextmanager
async def _composed(size: int, wanting: int) -> AsyncGenerator[tuple[Composition, str]]:
    """The bot's parts on embedded servers, with these sets in its matcher; no job of it runs."""
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bot-redis-")))
        postgres = await stack.enter_async_context(EmbeddedPostgres(directory / "postgres"))
        store = await stack.enter_async_context(EmbeddedRedis(directory / "redis"))
        await migrate(postgres.dsn)
        at = Addresses(
            telegram_token="1:not-used",  # noqa: S106 - opens nothing
            telegram_api_base=f"http://{NOWHERE}",
            source="native",
            feed_url=f"ws://{NOWHERE}/",
            feed_api_url=None,
            feed_token=None,
            price_api_url=f"http://{NOWHERE}",
            redis_url=store.url,
            database_url=postgres.dsn,
        )
        composition = Composition(Settings(data_dir=directory / "bot"), await connect(at, stack), Terminal())
        composition.of(Matcher).load(_filter_sets(size, wanting))
        yield composition, store.url


async def _executed(url: str) -> int:
    """Commands that the server has executed, without those that ask for this number."""
    async with redis.Redis.from_url(url) as client:  # pyright: ignore[reportUnknownMemberType] - untyped
        stats = cast("dict[str, dict[str, int]]", await client.info("commandstats"))  # pyright: ignore[reportUnknownMemberType] - untyped
    aside = ("cmdstat_info", "cmdstat_hello", "cmdstat_client", "cmdstat_ping")
    return sum(stat["calls"] for name, stat in stats.items() if not name.startswith(aside))


async def _straightforward(size: int) -> float:
    """Commands for one call."""
    call = Traffic(Mix(interest=1.0, new_share=1.0)).next_call(datetime.now(UTC))
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bot-redis-")))
        postgres = await stack.enter_async_context(EmbeddedPostgres(directory / "postgres"))
        store = await stack.enter_async_context(EmbeddedRedis(directory / "redis"))
        peer = StraightforwardBot(store.url, postgres.dsn, _filter_sets(size, ACCEPTED_PER_CALL))
        before = await _executed(store.url)
        await peer.decide_all([call] * PEER_CALLS)
        return (await _executed(store.url) - before) / PEER_CALLS
