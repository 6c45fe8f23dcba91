"""Prices of 25,000 tokens within every provider's limits: how old they are, together and from one alone.

The three managers ask three stand-ins over sockets, which count their limits to the letter, answer after 50 to 400 ms,
fail now and then, and do not know every token. Whoever's price is the oldest is asked about next. Time is simulated
(`benchmarks/kit/virtual_time.py`): budgets, pacing, the stand-ins' windows and the ages all go by a clock that jumps
to the next thing that is due, so minutes take as long as their requests. Everything else is as it is in the bot.

Ages are those of all tokens that anybody knows, looked at every 5 s once each has been asked about. Every price is held
against what the token cost when it was read.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

import aiohttp
import numpy as np
import structlog
from solders.pubkey import Pubkey

from benchmarks.kit.report import Row, at_least, at_most, for_comparison
from benchmarks.kit.virtual_time import run as run_in_virtual_time
from domain.calls.events import Token
from domain.prices.readings import PriceReading, TokenRef
from managers.http.api import APIRetryManager
from managers.providers.dexscreener import DexScreenerManager
from managers.providers.geckoterminal import GeckoTerminalManager
from managers.providers.jupiter import JupiterManager
from sandbox.providers.dexscreener import DexScreenerSandbox
from sandbox.providers.geckoterminal import GeckoTerminalSandbox
from sandbox.providers.jupiter import PriceSandbox
from sandbox.providers.stand_in import StandIn
from services.providers.price_source import PriceProvider
from services.providers.price_sources import PriceSources

TOKENS: Final = 25_000
MEASURED_S: Final = 180.0
QUICK_S: Final = 30.0
AGE_P95_S: Final = 180.0
UNKNOWN: Final[Mapping[str, float]] = {"jupiter": 0.2, "dexscreener": 0.02, "geckoterminal": 0.1}
"""Share of the tokens that a provider does not know."""
FAILS: Final = 0.005
NOISE: Final = 0.005
TOLERANCE: Final = 0.02
"""Noise, rounding to four digits, and how far a price moves while it is on its way."""
LIMITS: Final[Mapping[str, int]] = {"jupiter": 30, "dexscreener": 300, "geckoterminal": 30}

SOONER_S: Final = 60.0
"""Whoever got no price is asked about again so much earlier than the others."""

_LOOK_EVERY_S: Final = 5.0
_DELAYS_S: Final = (0.05, 0.4)
_START: Final = datetime(2026, 11, 28, 12, tzinfo=UTC)
_SWINGS_S: Final = 3_600.0


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="a short look, and DexScreener alone to compare with")


def run(arguments: argparse.Namespace) -> list[Row]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))  # its faults are ordered
    alone = ("dexscreener",) if arguments.quick else tuple(LIMITS)
    measured_s = QUICK_S if arguments.quick else MEASURED_S
    sys.stderr.write(f"{TOKENS:,} tokens, all providers …\n")
    rows = _rows(_measure(tuple(LIMITS), measured_s), is_whole=not arguments.quick)
    for name in alone:
        sys.stderr.write(f"{TOKENS:,} tokens, {name} alone …\n")
        rows += _rows_alone(name, _measure((name,), measured_s))
    return rows


class WrongPriceError(Exception):
    """A reading is not what the token cost: no figure of this run means anything."""


@dataclass(slots=True)
class Result:
    p50_s: float
    p95_s: float
    known: int
    never: int
    """Of the known: without any price in the end."""
    requests: dict[str, int] = field(default_factory=dict[str, int])
    most_in_a_minute: dict[str, int] = field(default_factory=dict[str, int])
    refused: int = 0
    failed: int = 0
    took_s: float = 0.0


class _Outside:
    """What tokens cost at a time, and who knows them."""

    def __init__(self) -> None:
        random = Random(7)
        self.mints = [str(Pubkey(random.randbytes(32))) for _ in range(TOKENS)]
        self._costs = {mint: (random.lognormvariate(-11, 2), random.random()) for mint in self.mints}
        self.unknown = {
            name: {mint for mint in self.mints if random.random() < share} for name, share in UNKNOWN.items()
        }

    def price_usd(self, mint: str, at_s: float) -> float:
        """Each swings by its own fifth, once an hour."""
        base, phase = self._costs[mint]
        return base * (1 + 0.2 * math.sin(2 * math.pi * (phase + at_s / _SWINGS_S)))

    def figures(self, mint: str) -> Token | None:
        if mint not in self._costs:
            return None
        price_usd = self.price_usd(mint, _now_s())
        return Token(
            address=mint,
            price_usd=price_usd,
            market_cap_usd=price_usd * 1e9,
            liquidity_usd=price_usd * 1e8,
            volume_5m_usd=100.0,
            dex="pumpswap",
        )


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _now() -> datetime:
    return _START + timedelta(seconds=_now_s())


def _unix_s() -> float:
    return _START.timestamp() + _now_s()


def _measure(names: Sequence[str], measured_s: float) -> Result:
    return run_in_virtual_time(_ask(names, measured_s))


async def _ask(names: Sequence[str], measured_s: float) -> Result:
    outside = _Outside()
    async with _stand_ins(outside, names) as stand_ins, aiohttp.ClientSession() as session:
        api = APIRetryManager(session, clock=_now_s)
        sources = PriceSources([_manager(one, api) for one in stand_ins], clock=_now_s)
        round_ = _Round(outside, [one.name for one in stand_ins])
        async with asyncio.TaskGroup() as group:
            disorder = group.create_task(_disorder(stand_ins))
            await round_.ask(sources, measured_s)
            disorder.cancel()
        result = round_.result()
        result.took_s = _now_s()
        for one in stand_ins:
            result.requests[one.name] = one.requests
            result.most_in_a_minute[one.name] = one.most_in_a_window
            result.refused += one.refused
        result.failed = sum(counts.failed for counts in sources.counts.values())
        return result


@asynccontextmanager
async def _stand_ins(outside: _Outside, names: Sequence[str]) -> AsyncGenerator[list[StandIn]]:
    makers = {"jupiter": PriceSandbox, "dexscreener": DexScreenerSandbox, "geckoterminal": GeckoTerminalSandbox}
    async with AsyncExitStack() as stack:
        found: list[StandIn] = []
        for name in names:
            one = makers[name](figures=outside.figures, requests_per_minute=LIMITS[name], noise=NOISE, clock=_unix_s)
            one.unknown = outside.unknown[name]
            found.append(await stack.enter_async_context(one))
        yield found


def _manager(stand_in: StandIn, api: APIRetryManager) -> PriceProvider:
    if stand_in.name == "jupiter":
        return JupiterManager(api, stand_in.url, clock=_now)
    if stand_in.name == "dexscreener":
        return DexScreenerManager(api, stand_in.url, clock=_now)
    return GeckoTerminalManager(api, stand_in.url, clock=_now)


async def _disorder(stand_ins: Sequence[StandIn]) -> None:
    """Delays of all kinds, and a fault now and then."""
    random, seen = Random(11), dict.fromkeys((one.name for one in stand_ins), 0)
    while True:
        for one in stand_ins:
            one.delay_s = random.uniform(*_DELAYS_S)
            came, seen[one.name] = one.requests - seen[one.name], one.requests
            faults = sum(random.random() < FAILS for _ in range(came))
            one.will(*random.choices(("html", "cut", "drop", 503), k=faults))
        await asyncio.sleep(1.0)


class _Round:
    """Asks about whoever's price is the oldest, again and again."""

    def __init__(self, outside: _Outside, names: Sequence[str]) -> None:
        self._outside = outside
        self._tokens = [TokenRef(mint) for mint in outside.mints]
        self._numbers = {token: number for number, token in enumerate(self._tokens)}
        self._read_at_s = np.full(TOKENS, -np.inf)
        self._asked_at_s = np.full(TOKENS, -np.inf)
        self._known = np.array(
            [any(mint not in outside.unknown[name] for name in names) for mint in outside.mints], dtype=bool
        )
        self._ages: list[np.ndarray[tuple[int], np.dtype[np.float64]]] = []

    async def ask(self, sources: PriceSources, measured_s: float) -> None:
        measured_from_s: float | None = None
        while measured_from_s is None or _now_s() < measured_from_s + measured_s:
            self._look(measured_from_s)
            room = sources.room()
            if not room.tokens:
                await asyncio.sleep(room.again_in_s)
                continue
            due = np.argpartition(self._asked_at_s, min(room.tokens, TOKENS - 1))[: room.tokens]
            self._asked_at_s[due] = _now_s() - SOONER_S
            for reading in await sources.read([self._tokens[number] for number in due.tolist()]):
                self._take(reading)
            if measured_from_s is None and np.isfinite(self._asked_at_s).all():
                measured_from_s = _now_s()

    def result(self) -> Result:
        ages = np.concatenate(self._ages)
        p50_s, p95_s = np.percentile(ages, (50, 95), method="nearest")
        never = int(np.isinf(self._read_at_s[self._known]).sum())
        return Result(float(p50_s), float(p95_s), int(self._known.sum()), never)

    def _look(self, measured_from_s: float | None) -> None:
        if measured_from_s is not None and _now_s() >= measured_from_s + len(self._ages) * _LOOK_EVERY_S:
            self._ages.append(_now_s() - self._read_at_s[self._known])

    def _take(self, reading: PriceReading) -> None:
        at_s = (reading.at - _START).total_seconds()
        true_usd = self._outside.price_usd(reading.token.address, at_s)
        if abs(reading.price_usd / true_usd - 1) > TOLERANCE:
            raise WrongPriceError(f"{reading.price_usd} instead of {true_usd} from {reading.source}")
        number = self._numbers[reading.token]
        self._read_at_s[number] = self._asked_at_s[number] = at_s


def _rows(result: Result, *, is_whole: bool) -> list[Row]:
    never = "tokens that somebody knows and that got no price", result.never, f"of {result.known:,}"
    rows = [
        for_comparison(f"{TOKENS:,} tokens, all providers: age of prices, p50", result.p50_s, "s"),
        at_most(f"{TOKENS:,} tokens, all providers: age of prices, p95", result.p95_s, "s", AGE_P95_S),
        at_most(*never, 0) if is_whole else for_comparison(*never),
        at_most("requests refused for the limit", result.refused, "", 0),
    ]
    for name, most in result.most_in_a_minute.items():
        rows.append(at_most(f"{name}: requests in its fullest minute", most, "", LIMITS[name]))
        rows.append(for_comparison(f"{name}: requests in {result.took_s:,.0f} s", result.requests[name], ""))
    rows.append(at_least("tokens in requests that failed, as ordered", result.failed, "", 1))
    return rows


def _rows_alone(name: str, result: Result) -> list[Row]:
    return [
        for_comparison(f"{name} alone: age of prices, p50", result.p50_s, "s"),
        for_comparison(f"{name} alone: age of prices, p95", result.p95_s, "s"),
        for_comparison(f"{name} alone: tokens that it does not know", TOKENS - result.known, f"of {TOKENS:,}"),
        at_most(f"{name} alone: requests refused for the limit", result.refused, "", 0),
    ]
