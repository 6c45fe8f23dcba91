"""Minutes of full load with faults at random: `python -m tests.faults.soak --minutes 10`, or `make soak`.

The bot is one process that is never restarted, so its memory tells something: at first it gets as many tokens as it
remembers and as many alerts at once as it holds, since up to there memory has to grow. After that the watchdog is
watched for as long (`tests.faults.watchdog`). Exit code 1 when anything was lost, came twice, grew, overflowed or hung.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import statistics
import sys
import tempfile
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

import aiohttp
import numpy as np
from solders.pubkey import Pubkey

from domain.calls.events import Call, Channel, Token
from domain.filters.registry import Choice, Range, Rule
from domain.matching.matcher import MAX_TOKENS
from domain.subscribers.subscriber import Subscriber
from sandbox.telegram.faults import Fault
from services.delivery.delivery import MAX_HELD
from tests.faults.ledger import Counts
from tests.faults.market import CHANNELS, FIRST_USER_ID, Pair, Workload, made_now, taker
from tests.faults.process import Bot
from tests.faults.reliability import SOAK, WATCHDOG, soak_section, write_section
from tests.faults.servers import BreakablePostgres, BreakableRedis
from tests.faults.stage import Size, Stage
from tests.faults.watchdog import watchdog

PAGE: Final = Path(__file__).parents[2] / "docs" / "reliability.md"
FILLED_PER_S: Final = 1_500
"""Calls in the time before, of tokens that nobody wants."""
FLOOD_STORM_S: Final = 20.0
"""Then Telegram refuses everything, until the bot holds all the alerts it may."""
NEW_TOKENS: Final = 0.05
"""Share of the calls; the others are for tokens that were called before."""
NEW_CHANNELS: Final = 0.10
"""Share of the calls in which another channel calls a known token."""
FAULT_EVERY_S: Final = (5.0, 15.0)
TIMEOUT_S: Final = 60.0
QUEUE_MAX: Final = 10_000
GROWTH_MAX: Final = 0.05
WARM_UP_SHARE: Final = 0.5
MIB: Final = 1 << 20


class SoakWorkload(Workload):
    """Narrow filters of many, so that the limits of Telegram, not the matcher, would be what is missed first.

    The reference is the plain loop over everybody's two conditions, as one numpy expression per call.
    """

    def __init__(self, *, seed: int, users: int) -> None:
        random = Random(seed)
        self.calls: list[Call] = []
        self.subscribers: list[Subscriber] = []
        self._user_ids = np.arange(FIRST_USER_ID, FIRST_USER_ID + users)
        self._lows, self._highs, self._channels = np.zeros(users), np.zeros(users), np.zeros(users, dtype=np.int64)
        for place in range(users):
            low, channel = 10 ** random.uniform(4, 7), random.randrange(len(CHANNELS)) if place % 2 else -1
            high = low * (1.07 if channel >= 0 else 1.007)
            rules: dict[str, Rule] = {"market_cap_usd": Range(low, high)}
            if channel >= 0:
                rules["channel"] = Choice(included=frozenset({CHANNELS[channel]}))
            self.subscribers.append(taker(FIRST_USER_ID + place, rules))
            self._lows[place], self._highs[place], self._channels[place] = low, high, channel

    def told_by(self, call: Call) -> set[Pair]:
        cap, channel = call.token.market_cap_usd or 0.0, CHANNELS.index(call.channel.id)
        inside = (self._lows <= cap) & (cap <= self._highs)
        there = (self._channels == -1) | (self._channels == channel)
        return {(int(user_id), call.token.address) for user_id in self._user_ids[inside & there]}


class Caller:
    """An endless stream of calls."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._seed = seed
        self._number = 0
        self._known: deque[Call] = deque(maxlen=2_000)

    def unwanted(self) -> Call:
        """A call of a new token that is too small for everybody."""
        self._number += 1
        return self._call(self._token(10**3.5), self._random.choice(CHANNELS))

    def wanted(self) -> Call:
        """A call of a new token."""
        self._number += 1
        cap = round(10 ** self._random.uniform(4, 7), 2)
        return self._call(self._token(cap), self._random.choice(CHANNELS))

    def next_call(self) -> Call:
        draw = self._random.random()
        if not self._known or draw < NEW_TOKENS:
            return self.wanted()
        self._number += 1
        earlier = self._random.choice(self._known)
        if draw < NEW_TOKENS + NEW_CHANNELS:
            return self._call(earlier.token, self._random.choice(CHANNELS))
        return self._call(earlier.token, earlier.channel.id)

    def _call(self, token: Token, channel: str) -> Call:
        now = datetime.now(UTC)
        call = Call(
            id=f"soak-{self._seed}-{self._number}",
            token=token,
            channel=Channel(id=channel),
            called_at=now,
            received_at=now,
        )
        self._known.append(call)
        return call

    def _token(self, cap: float) -> Token:
        address = str(Pubkey(self._random.randbytes(32)))
        return Token(address=address, name="Soak", symbol="SOAK", market_cap_usd=cap, liquidity_usd=cap / 10)


@dataclass(slots=True)
class Samples:
    memory_bytes: list[int] = field(default_factory=list[int])
    queued: list[float] = field(default_factory=list[float])
    held: list[float] = field(default_factory=list[float])
    faults: Counter[str] = field(default_factory=Counter[str])
    calls: int = 0

    @property
    def growth(self) -> float:
        """From the first tenth after the warm-up to the last tenth of the time."""
        steady = self.memory_bytes[int(len(self.memory_bytes) * WARM_UP_SHARE) :]
        tenth = max(1, len(steady) // 5)
        return statistics.median(steady[-tenth:]) / statistics.median(steady[:tenth]) - 1


class Breaker:
    """Breaks one thing after the other, each for a few seconds, and mends it."""

    def __init__(self, stage: Stage, seed: int) -> None:
        self._stage = stage
        self._random = Random(seed)
        self._faults: Mapping[str, Callable[[], Awaitable[None]]] = {
            "Redis killed": self._redis_killed,
            "Redis frozen": self._redis_frozen,
            "Redis away": self._redis_away,
            "Redis's replies lost": self._replies_lost,
            "PostgreSQL killed": self._postgres_killed,
            "PostgreSQL frozen": self._postgres_frozen,
            "feed cut": self._feed_cut,
            "feed silent": self._feed_silent,
            "feed repeating, malformed": self._feed_noisy,
            "Telegram 429": self._storm,
            "Telegram 5xx": self._errors,
            "Telegram without an answer": self._unanswered,
        }

    async def run(self, samples: Samples) -> None:
        while True:
            await asyncio.sleep(self._random.uniform(*FAULT_EVERY_S))
            name = self._random.choice(list(self._faults))
            samples.faults[name] += 1
            await self._faults[name]()

    async def repair(self) -> None:
        """Whatever was going on when it was cancelled."""
        stage, faults = self._stage, self._stage.telegram.faults
        for server in (stage.redis, stage.postgres):
            server.thaw()
            await server.restart()
        await stage.redis_proxy.repair()
        stage.feed.go_silent(False)
        faults.error_5xx_rate = 0.0

    async def _a_while(self) -> None:
        await asyncio.sleep(self._random.uniform(1, 6))

    async def _redis_killed(self) -> None:
        await self._stage.redis.kill()
        await self._a_while()
        await self._stage.redis.restart()

    async def _redis_frozen(self) -> None:
        self._stage.redis.freeze()
        await self._a_while()
        self._stage.redis.thaw()

    async def _redis_away(self) -> None:
        await self._stage.redis_proxy.refuse()
        await self._a_while()
        await self._stage.redis_proxy.repair()

    async def _replies_lost(self) -> None:
        self._stage.redis_proxy.lose_replies(0.01)
        await self._a_while()
        await self._stage.redis_proxy.repair()

    async def _postgres_killed(self) -> None:
        await self._stage.postgres.kill()
        await self._a_while()
        await self._stage.postgres.restart()

    async def _postgres_frozen(self) -> None:
        self._stage.postgres.freeze()
        await self._a_while()
        self._stage.postgres.thaw()

    async def _feed_cut(self) -> None:
        self._stage.feed.drop_connections()

    async def _feed_silent(self) -> None:
        self._stage.feed.go_silent(True)
        await self._a_while()
        self._stage.feed.go_silent(False)

    async def _feed_noisy(self) -> None:
        self._stage.feed.send_malformed(500)
        self._stage.feed.repeat_events(2_000)

    async def _storm(self) -> None:
        self._stage.telegram.faults.storm(self._random.uniform(1, 4))

    async def _errors(self) -> None:
        self._stage.telegram.faults.error_5xx_rate = 0.2
        await self._a_while()
        self._stage.telegram.faults.error_5xx_rate = 0.0

    async def _unanswered(self) -> None:
        self._stage.telegram.faults.fail_next(Fault.TIMEOUT_AFTER_DELIVERY)


async def soak(*, minutes: float, users: int, calls_per_s: float, seed: int) -> tuple[str, bool]:
    """Return the table, and whether everything held."""
    size = Size(full=True, users=users, calls=0, away_s=0.0, patience_s=TIMEOUT_S)
    workload = SoakWorkload(seed=seed, users=users)
    samples = Samples()
    directory = Path(tempfile.mkdtemp(prefix="bot-soak-"))
    with ExitStack() as servers:
        servers.callback(shutil.rmtree, directory)
        redis, postgres = BreakableRedis(directory / "redis"), BreakablePostgres(directory / "postgres")
        for server in (redis, postgres):
            servers.callback(server.stop)
            await server.restart()
        await postgres.make_template()
        async with Stage(size=size, seed=seed, redis=redis, postgres=postgres, workload=workload) as stage:
            stage.telegram.faults.hold_s = 1.0
            async with stage.bot() as bot:
                await _fill(stage, bot, workload)
                await _load(stage, bot, workload, samples, minutes * 60, calls_per_s)
                counts = await stage.finish(bot)
            repeats = stage.telegram.stats.faults_injected[Fault.TIMEOUT_AFTER_DELIVERY]
    return _table(counts, samples, minutes=minutes, users=users, repeats=repeats)


async def _fill(stage: Stage, bot: Bot, workload: SoakWorkload) -> None:
    caller = Caller(seed=3)
    for number in range(MAX_TOKENS):
        stage.feed.publish(made_now(caller.unwanted()))
        if number % (FILLED_PER_S // 50) == 0:
            await asyncio.sleep(0.02)
    await _until(bot, lambda gauges: gauges["feed_calls"] >= MAX_TOKENS and not gauges["token_queue_size"])
    stage.telegram.faults.storm(FLOOD_STORM_S)
    wanted = 0
    while wanted <= MAX_HELD:
        call = caller.wanted()
        pairs = workload.told_by(call)
        stage.ledger.expect(pairs)
        stage.feed.publish(made_now(call))
        wanted += len(pairs)
    await _until(bot, lambda gauges: gauges["alerts_held"] >= MAX_HELD)
    await _until(bot, lambda gauges: not gauges["alerts_held"])


async def _load(
    stage: Stage, bot: Bot, workload: SoakWorkload, samples: Samples, seconds: float, calls_per_s: float
) -> None:
    breaker = Breaker(stage, seed=1)
    background = [asyncio.create_task(breaker.run(samples)), asyncio.create_task(_sample(stage, bot, samples))]
    caller = Caller(seed=2)
    loop = asyncio.get_running_loop()
    started_at = loop.time()
    try:
        while (elapsed_s := loop.time() - started_at) < seconds:
            for _ in range(int(elapsed_s * calls_per_s) - samples.calls):
                call = caller.next_call()
                stage.ledger.expect(workload.told_by(call))
                stage.feed.publish(made_now(call))
                samples.calls += 1
            await asyncio.sleep(0.02)
            for task in background:
                if task.done():
                    task.result()
    finally:
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        await breaker.repair()


async def _sample(stage: Stage, bot: Bot, samples: Samples) -> None:
    async with aiohttp.ClientSession() as session:
        while True:
            samples.memory_bytes.append(bot.memory_bytes())
            gauges = await _gauges(session, bot)
            samples.queued.append(gauges["token_queue_size"])
            samples.held.append(gauges["alerts_held"])
            await asyncio.sleep(1.0)


async def _until(bot: Bot, holds: Callable[[Mapping[str, float]], bool]) -> None:
    async with aiohttp.ClientSession() as session, asyncio.timeout(TIMEOUT_S):
        while not holds(await _gauges(session, bot)):  # noqa: ASYNC110 - it is another process that has to move
            await asyncio.sleep(0.5)


async def _gauges(session: aiohttp.ClientSession, bot: Bot) -> dict[str, float]:
    address = (await bot.says(r"Health: (http://\S+)/healthz"))[1]
    async with session.get(f"{address}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line and line[0] != "#")}


def _table(counts: Counts, samples: Samples, *, minutes: float, users: int, repeats: int) -> tuple[str, bool]:
    checks = {
        "lost": counts.lost == 0 and counts.unasked == 0,
        "twice": counts.twice == 0 and counts.marked <= repeats,
        "memory": samples.growth <= GROWTH_MAX,
        "queue": max(samples.queued) <= QUEUE_MAX,
    }
    again = f"{counts.marked:,} of at most {repeats:,}, marked, {counts.marked_alerts:,} alerts in them"
    median = statistics.median(samples.memory_bytes) / MIB
    rows = [
        ("minutes", f"{minutes:g}"),
        ("subscribers", f"{users:,}"),
        ("calls", f"{samples.calls:,}, and before that {MAX_TOKENS:,} of a new token each"),
        ("faults", f"{samples.faults.total()}: {', '.join(f'{n}× {w}' for w, n in sorted(samples.faults.items()))}"),
        ("alerts accepted", f"{counts.accepted:,}"),
        ("received", f"{counts.received:,}, {counts.in_digests:,} of them in digests"),
        ("lost", f"{counts.lost:,}{_mark(checks['lost'])}"),
        ("twice", f"{counts.twice:,}"),
        ("messages again", f"{again}{_mark(checks['twice'])}"),
        ("memory (RSS)", f"{median:.0f} MiB, grows {samples.growth:+.1%} after warm-up{_mark(checks['memory'])}"),
        ("queue at most", f"{max(samples.queued):,.0f} of {QUEUE_MAX:,}{_mark(checks['queue'])}"),
        ("alerts held at most", f"{max(samples.held):,.0f}"),
    ]
    return "\n".join(f"{what:<20} {value}" for what, value in rows), all(checks.values())


def _mark(holds: bool) -> str:  # noqa: FBT001 - the one thing it says
    return "" if holds else "  MISSED"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="of each part")
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--calls-per-s", type=float, default=200.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--page", type=Path, default=PAGE, help="where the result is written")
    parser.add_argument("--only", choices=("load", "watchdog"), help="one part alone")
    chosen = parser.parse_args()
    load = partial(soak, minutes=chosen.minutes, users=chosen.users, calls_per_s=chosen.calls_per_s, seed=chosen.seed)
    parts = {"load": (SOAK, load), "watchdog": (WATCHDOG, partial(watchdog, minutes=chosen.minutes))}
    verdicts: list[bool] = []
    for section, play in [parts[chosen.only]] if chosen.only else parts.values():
        table, holds = asyncio.run(play())
        print(table)  # noqa: T201 - what it is for
        write_section(chosen.page, section, soak_section(table))
        verdicts.append(holds)
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
