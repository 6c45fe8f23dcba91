"""The whole way of a call: frame on the wire → decided → claimed in Redis → request at Telegram, in real processes.

`main.py run` works on a feed, a Telegram, a Redis and a PostgreSQL in processes of their own, on real sockets. 95 % of
the calls are of tokens that were called before, by another of 500 channels and with figures that have moved.

Steady: 1,000 calls/s, 100,000 filter sets. The feed stamps each call right before it is sent, the bot notes in its
journal when it was decided, and a witness reads the journal along, which is written by the same script that claims;
a call that nobody gets is written down by it like all others. All three by the clock of the machine. Subscribers who
take whatever their own channel calls bring about 12 alerts a second at an even pace: fewer than Telegram allows, so
that their way to Telegram is the bot's, not the limiter's.

Calls come at random times (Poisson), as from channels that know nothing of each other: with half a core in use, many
wait for one before them. What comes of chance shows the same with evenly spaced calls.

The bot has one core to itself; everything outside shares the other one, as if it were elsewhere.

Sustained: 5,000 calls/s, 10,000 filter sets, about 300 newly accepted pairs a second, of which Telegram takes 30
messages. When the bot has stopped, each accepted pair was sent, is held for a digest, or waits in the outbox.

The straightforward bot gets the same calls on the same servers when ours has gone.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import fmean

import numpy as np
import uvloop

from benchmarks.kit.bot import RunningBot, running_bot
from benchmarks.kit.feed import Played
from benchmarks.kit.outside import Outside, outside
from benchmarks.kit.report import Row, at_least, at_most, for_comparison
from benchmarks.kit.straightforward import StraightforwardBot
from benchmarks.kit.telegram import Received
from benchmarks.kit.traffic import Mix, Traffic, filter_sets
from benchmarks.kit.witness import Decided, Delivered, witness

CORES = sorted(os.sched_getaffinity(0))
"""The first is the bot's; where there is only one, everybody's."""
TIMEOUT_S = 600.0
POLL_EVERY_S = 1.0
SETTLED_AFTER_S = 3.0
"""What was claimed last has been sent and written down by then."""
NEW_SHARE = 0.05
FOLLOWERS = 150

DECIDED_MS = (0.5, 2.0)
CLAIMED_MS = (1.0, 5.0)
ARRIVED_MS = (5.0, 25.0)
CPU_PERCENT = 60.0
SUSTAINED_PER_S = 5_000
MAX_QUEUED = 1_000
"""Calls: a tenth of the queue."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    sets: int
    calls_per_s: int
    warm_s: int
    seconds: int
    mix: Mix
    peer_calls: int
    """How many calls the straightforward bot gets."""

    @property
    def name(self) -> str:
        return f"{self.sets:,} sets, {self.calls_per_s:,} calls/s"


STEADY = Load(
    sets=100_000,
    calls_per_s=1_000,
    warm_s=15,
    seconds=60,
    mix=Mix(interest=0.0002, new_share=NEW_SHARE, followed_share=0.012, followers=FOLLOWERS),
    peer_calls=1,
)
SUSTAINED = Load(
    sets=10_000,
    calls_per_s=5_100,
    warm_s=10,
    seconds=30,
    mix=Mix(interest=0.0045, new_share=NEW_SHARE),
    peer_calls=3,
)
QUICK_STEADY = Load(sets=2_000, calls_per_s=500, warm_s=1, seconds=3, mix=STEADY.mix, peer_calls=1)
QUICK_SUSTAINED = Load(sets=1_000, calls_per_s=1_000, warm_s=1, seconds=3, mix=SUSTAINED.mix, peer_calls=1)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="a few seconds of each, to see that it works")
    parser.add_argument("--part", choices=("steady", "sustained"), help="only one of the two")


def run(arguments: argparse.Namespace) -> list[Row]:
    steady, sustained = (QUICK_STEADY, QUICK_SUSTAINED) if arguments.quick else (STEADY, SUSTAINED)
    rows: list[Row] = []
    os.sched_setaffinity(0, CORES[1:] or CORES)  # whoever is started from here on inherits it
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            if arguments.part != "sustained":
                rows += runner.run(_steady(steady))
            if arguments.part != "steady":
                rows += runner.run(_sustained(sustained))
    finally:
        os.sched_setaffinity(0, CORES)
    return rows


@dataclass(slots=True)
class Use:
    """What the bot used while calls came."""

    started_at: datetime
    seconds: float
    cpu_s: float
    received: int
    accepted: int
    queued: list[float]

    @property
    def cpu_percent(self) -> float:
        return 100 * self.cpu_s / self.seconds


@dataclass(frozen=True, slots=True)
class Ways:
    """How long the calls of one time were under way, from the frame, in ms."""

    calls: int
    """How many were sent."""
    read: np.ndarray
    decided: np.ndarray
    claimed: np.ndarray
    wanted: np.ndarray
    """`claimed` of those calls that somebody gets."""
    arrived: np.ndarray
    """Alerts at Telegram."""


async def _steady(load: Load) -> list[Row]:
    sys.stderr.write(f"{load.name} …\n")
    sets = list(filter_sets(load.sets, load.mix.followers))
    async with outside(sets, load.mix) as around:
        async with _bot(around) as bot:
            await _warm_up(load, around, bot, plays=2)
            ways, use = await _timed(load, around, bot)
            evenly, _ = await _timed(load, around, bot, evenly=True)
        fates = await around.fates()
        peer_s = await _straightforward(load, around)
    p50_claimed = float(np.percentile(ways.claimed, 50))
    return [
        *_percentiles(f"{load.name}: frame sent → decided", ways.decided, DECIDED_MS),
        *_percentiles(f"{load.name}: frame sent → claimed in Redis", ways.claimed, CLAIMED_MS),
        *_percentiles(f"{load.name}: frame sent → request at Telegram", ways.arrived, ARRIVED_MS),
        at_most(f"{load.name}: CPU of the bot, of one core", use.cpu_percent, "%", CPU_PERCENT),
        *_percentiles(f"{load.name}: frame sent → read from the socket", ways.read, None),
        *_percentiles(f"{load.name}: of calls that somebody gets, frame sent → claimed in Redis", ways.wanted, None),
        *_percentiles(f"{load.name}, evenly spaced: frame sent → decided", evenly.decided, None),
        *_percentiles(f"{load.name}, evenly spaced: frame sent → request at Telegram", evenly.arrived, None),
        for_comparison(f"{load.name}: calls that came", use.received / use.seconds, "/s"),
        for_comparison(f"{load.name}: calls decided that the witness saw", 100 * len(ways.decided) / ways.calls, "%"),
        for_comparison(f"{load.name}: alerts whose way was timed", len(ways.arrived), ""),
        at_most(f"{load.name}: accepted pairs lost", fates.lost, "", 0),
        at_most(f"{load.name}: accepted pairs sent twice", fates.twice, "", 0),
        for_comparison(f"{load.name}: straightforward bot, one call of a new token", peer_s * 1000, "ms"),
        for_comparison(f"{load.name}: straightforward bot against ours, claimed", peer_s * 1000 / p50_claimed, "x"),
    ]


async def _timed(load: Load, around: Outside, bot: RunningBot, *, evenly: bool = False) -> tuple[Ways, Use]:
    with witness(around.redis_url) as watching:
        played, use = await _play(load, around, bot, evenly=evenly)
        await asyncio.sleep(SETTLED_AFTER_S)
    decided, claimed_at_us = watching.decided(use.started_at), watching.claimed()
    received: Received = await around.telegram.ask("received")
    calls = [call for call, _ in decided]
    wanted = [(call.call, claimed_at_us[call.call.id]) for call in calls if call.call.id in claimed_at_us]
    return Ways(
        calls=played.calls,
        read=np.array([_ms(call.call.called_at, call.call.received_at) for call in calls]),
        decided=np.array([_ms(call.call.called_at, call.decided_at) for call in calls]),
        claimed=np.array([at_us / 1000 - _epoch_ms(call.call.called_at) for call, at_us in decided]),
        wanted=np.array([at_us / 1000 - _epoch_ms(call.called_at) for call, at_us in wanted]),
        arrived=np.array(_arrivals(calls, watching.delivered(), received)),
    ), use


async def _sustained(load: Load) -> list[Row]:
    sys.stderr.write(f"{load.name} …\n")
    async with outside(filter_sets(load.sets), load.mix) as around:
        async with _bot(around) as bot:
            await _warm_up(load, around, bot)
            played, use = await _play(load, around, bot)
            await asyncio.sleep(SETTLED_AFTER_S)
            rss_mb = bot.rss_mb()
        fates = await around.fates()
        peer_s = await _straightforward(load, around)
    third = max(1, len(use.queued) // 3)
    growth = fmean(use.queued[-third:]) - fmean(use.queued[:third])
    per_s = use.received / use.seconds
    target = SUSTAINED_PER_S if load is SUSTAINED else load.calls_per_s * 0.9
    return [
        at_least(f"{load.name}: calls decided", per_s, "/s", target),
        at_most(f"{load.name}: most calls queued", max(use.queued), "", MAX_QUEUED),
        at_most(f"{load.name}: queue, last third against first", growth, "calls", MAX_QUEUED / 10),
        for_comparison(f"{load.name}: the feed's latest frame", played.latest_s * 1000, "ms late"),
        for_comparison(f"{load.name}: CPU of the bot, of one core", use.cpu_percent, "%"),
        for_comparison(f"{load.name}: memory of the bot", rss_mb, "MB"),
        for_comparison(f"{load.name}: newly accepted pairs", use.accepted / use.seconds, "/s"),
        for_comparison(f"{load.name}: accepted pairs in all", fates.accepted, ""),
        for_comparison(f"{load.name}: of these sent", fates.sent, ""),
        for_comparison(f"{load.name}: of these held for a digest", fates.held, ""),
        for_comparison(f"{load.name}: of these waiting in the outbox", fates.waiting, ""),
        at_most(f"{load.name}: accepted pairs lost", fates.lost, "", 0),
        at_most(f"{load.name}: accepted pairs sent twice", fates.twice, "", 0),
        for_comparison(f"{load.name}: straightforward bot, calls of new tokens", 1 / peer_s, "/s"),
        for_comparison(f"{load.name}: ours against the straightforward bot", per_s * peer_s, "x"),
    ]


@asynccontextmanager
async def _bot(around: Outside) -> AsyncGenerator[RunningBot]:
    """The bot, on a core that nothing else uses."""
    async with running_bot(around.directory / "bot", seconds=TIMEOUT_S, **await around.settings()) as bot:
        bot.keep_to(CORES[0])
        yield bot


async def _warm_up(load: Load, around: Outside, bot: RunningBot, plays: int = 1) -> None:
    """Wait until everybody is loaded, then let the tokens be called that will be called again."""
    count = load.calls_per_s * (load.warm_s + load.seconds * plays)
    preparing = asyncio.create_task(around.feed.ask("prepare", count))
    await bot.wait_for("Loaded after")
    bot.ignore_output()
    await preparing
    await around.feed.ask("play", load.calls_per_s, load.calls_per_s * load.warm_s)


async def _play(load: Load, around: Outside, bot: RunningBot, *, evenly: bool = False) -> tuple[Played, Use]:
    before = await bot.metrics()
    now, started_at, cpu_s, queued = datetime.now(UTC), time.perf_counter(), bot.cpu_s(), list[float]()
    play = "play_evenly" if evenly else "play"
    playing = asyncio.create_task(around.feed.ask(play, load.calls_per_s, load.calls_per_s * load.seconds))
    while not playing.done():
        await asyncio.wait([playing], timeout=POLL_EVERY_S)
        queued.append((await bot.metrics())["token_queue_size"])
    played: Played = await playing
    after = await bot.metrics()
    return played, Use(
        started_at=now,
        seconds=time.perf_counter() - started_at,
        cpu_s=bot.cpu_s() - cpu_s,
        received=_grown(before, after, "calls_received_total"),
        accepted=_grown(before, after, "alerts_claimed_total"),
        queued=queued,
    )


def _grown(before: dict[str, float], after: dict[str, float], name: str) -> int:
    return round(after[name] - before[name])


async def _straightforward(load: Load, around: Outside) -> float:
    """Seconds for one call."""
    sys.stderr.write("the straightforward bot …\n")
    traffic, now = Traffic(Mix(interest=load.mix.interest, new_share=1.0), seed=6), datetime.now(UTC)
    peer = StraightforwardBot(around.redis_url, around.postgres_dsn, filter_sets(load.sets))
    return await peer.decide_all([traffic.next_call(now) for _ in range(load.peer_calls)])


def _arrivals(calls: Sequence[Decided], delivered: Sequence[Delivered], received: Received) -> list[float]:
    """Milliseconds from the frame to the arrival of the message with its alert."""
    called_at = {call.call.id: call.call.called_at for call in calls}
    arrived_at_us = {(arrival.chat_id, arrival.message_id): arrival.at_us for arrival in received.arrivals}
    return [
        arrived_at_us[record.user_id, record.message_id] / 1000 - _epoch_ms(called_at[record.call_id])
        for record in delivered
        if record.message_id is not None and record.call_id in called_at
    ]


def _percentiles(what: str, values_ms: np.ndarray, targets_ms: tuple[float, float] | None) -> list[Row]:
    p50, p99 = (float(value) for value in np.percentile(values_ms, (50, 99)))
    if targets_ms is None:
        return [for_comparison(f"{what}, p50", p50, "ms"), for_comparison(f"{what}, p99", p99, "ms")]
    return [at_most(f"{what}, p50", p50, "ms", targets_ms[0]), at_most(f"{what}, p99", p99, "ms", targets_ms[1])]


def _ms(start: datetime, end: datetime) -> float:
    return (end - start).total_seconds() * 1000


def _epoch_ms(at: datetime) -> float:
    return at.timestamp() * 1000
