"""A payment on Solana: final on the chain → found → credited → receipt at Telegram, in real processes.

`main.py run` watches a chain of two RPC servers, with a Telegram, a Redis and a PostgreSQL, each in a process of its
own. 10,000 invoices are open; strangers send 1,000 transfers an hour to the same wallet that fit nothing, at random
times, and people pay their invoices, half of them in SOL, half in USDC, at random times as well.

The chain takes its own time (slots of 0.4 s, final after 32 of them). What is timed begins where that ends: when the
slot of a payment becomes final, and, later by the pause between two looks, when a server first answers the bot that it
is; both end when the request with the receipt arrives at Telegram. The servers count what they are asked.

To ask for each reference is timed on the same servers, with the same client and the same budget of 10 requests a
second: it takes as long for a round as the measured pace needs for 10,000; somebody waits for half of one on average,
and for a whole one at most, and no round finds what does not name its reference.

The bot has one core to itself; everything outside shares the other one, as if it were elsewhere.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Final

import numpy as np
import structlog
import uvloop

from benchmarks.kit.bot import RunningBot, running_bot
from benchmarks.kit.chain import Asked, Way, chain_part
from benchmarks.kit.processes import Part, in_own_process
from benchmarks.kit.report import Row, at_most, for_comparison
from benchmarks.kit.subscribers import fill
from benchmarks.kit.telegram import TOKEN, telegram_part
from benchmarks.kit.traffic import filter_sets
from domain.payments.plans import DAYS, Offer
from embedded.postgres import EmbeddedPostgres
from embedded.valkey import EmbeddedRedis
from managers.payments.solana_rpc import SolanaRpcManager
from managers.redis.client import RedisManager
from managers.storage.postgres import PostgresManager
from migrations import migrate
from runtime.clock import now
from sandbox.telegram.limits import FloodLimits
from services.payments.invoicing import Coin, Invoicing, PaymentRequest, receiver_of
from services.payments.ledger import Ledger
from services.payments.notices import PaymentNotices
from services.payments.rates import Rates
from services.stores.journal import Journal

CORES = sorted(os.sched_getaffinity(0))
TIMEOUT_S: Final = 1_200.0
SOL_USD: Final = Decimal(165)
RECEIPT_S: Final = 2.0
REQUESTS_PER_S: Final = 10.0
FOREIGN_PER_HOUR: Final = 1_000
BURST: Final = 20
"""Requests that the budget lets through at once after a pause."""
PATIENCE_S: Final = 60.0
"""A receipt that has not come so long after the last payment is lost."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    open: int
    """Invoices."""
    payments: int
    seconds: float
    references: int
    """So many are asked for one by one to learn the pace of that."""

    @property
    def name(self) -> str:
        return f"{self.open:,} open invoices, {FOREIGN_PER_HOUR:,} foreign transfers/h"


WHOLE: Final = Load(open=10_000, payments=120, seconds=240.0, references=300)
QUICK: Final = Load(open=500, payments=8, seconds=10.0, references=20)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="some seconds, to see that it works")


def run(arguments: argparse.Namespace) -> list[Row]:
    os.sched_setaffinity(0, CORES[1:] or CORES)  # whoever is started from here on inherits it
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_measured(QUICK if arguments.quick else WHOLE))
    finally:
        os.sched_setaffinity(0, CORES)


@dataclass(frozen=True, kw_only=True, slots=True)
class Watched:
    """What came of it."""

    ways: list[Way]
    receipts_us: list[int]
    """When the receipt of each of them arrived."""
    lost: int
    twice: int
    asked: Asked
    seconds: float
    cpu_s: float
    rss_mb: float


async def _measured(load: Load) -> list[Row]:
    sys.stderr.write(f"{load.name} …\n")
    async with AsyncExitStack() as stack:
        around = await stack.enter_async_context(_outside(load))
        async with running_bot(around.directory / "bot", seconds=TIMEOUT_S, **await around.settings()) as bot:
            bot.keep_to(CORES[0])
            await bot.wait_for("Loaded after")
            bot.ignore_output()
            requests = await _opened(load, around)
            watched = await _watched(load, around, bot, requests)
        pace = await _asking_each(load, around, requests)
    return _rows(load, watched, pace)


def _rows(load: Load, watched: Watched, pace: float) -> list[Row]:
    ends = np.array(watched.receipts_us) / 1e6
    told = ends - np.array([way.told_at_us for way in watched.ways]) / 1e6
    final = ends - np.array([way.final_at_us for way in watched.ways]) / 1e6
    paid = ends - np.array([way.paid_at_us for way in watched.ways]) / 1e6
    per_s = sum(watched.asked.requests) / watched.seconds
    round_s = load.open / pace
    name = load.name
    return [
        at_most(f"{name}: first answer that it is final → receipt at Telegram, p50", _p(told, 50), "s", RECEIPT_S),
        for_comparison(f"{name}: first answer that it is final → receipt at Telegram, p99", _p(told, 99), "s"),
        at_most(f"{name}: final on the chain → receipt at Telegram, p50", _p(final, 50), "s", RECEIPT_S),
        for_comparison(f"{name}: final on the chain → receipt at Telegram, average", float(final.mean()), "s"),
        for_comparison(f"{name}: final on the chain → receipt at Telegram, slowest", float(final.max()), "s"),
        for_comparison(f"{name}: sent → receipt at Telegram with the chain's own time, p50", _p(paid, 50), "s"),
        at_most(f"{name}: requests to both RPC servers together", per_s, "/s", REQUESTS_PER_S),
        for_comparison(f"{name}: requests to one server in its busiest second", max(watched.asked.busiest_second), ""),
        for_comparison(f"{name}: payments whose way was timed", len(watched.ways), ""),
        at_most(f"{name}: payments without a receipt", watched.lost, "", 0),
        at_most(f"{name}: receipts that came twice", watched.twice, "", 0),
        for_comparison(f"{name}: CPU of the bot, of one core", 100 * watched.cpu_s / watched.seconds, "%"),
        for_comparison(f"{name}: memory of the bot", watched.rss_mb, "MB"),
        for_comparison("asking each reference: pace measured", pace, "references/s"),
        for_comparison(f"asking each of {load.open:,} references: average until a payment is found", round_s / 2, "s"),
        for_comparison(f"asking each of {load.open:,} references: slowest", round_s, "s"),
        for_comparison("asking each reference against the watch, average", round_s / 2 / float(final.mean()), "x"),
    ]


def _p(values: np.ndarray, percent: int) -> float:
    return float(np.percentile(values, percent))


# what stands around the bot


@dataclass(frozen=True, kw_only=True, slots=True)
class Around:
    directory: Path
    redis_url: str
    postgres_dsn: str
    chain: Part
    telegram: Part

    async def settings(self) -> dict[str, str]:
        return {
            "TELEGRAM_BOT_TOKEN": TOKEN,
            "TELEGRAM_API_BASE": await self.telegram.ask("url"),
            "FEED_SOURCE": "native",
            "FEED_URL": "ws://127.0.0.1:9/",
            "REDIS_URL": self.redis_url,
            "DATABASE_URL": self.postgres_dsn,
            "PAY_WITH_CRYPTO": "true",
            "SOLANA_WALLET": await self.chain.ask("merchant"),
            "SOLANA_USDC_MINT": await self.chain.ask("usdc_mint"),
            "SOLANA_RPC_URLS": ",".join(await self.chain.ask("urls")),
            "PRICE_API_URL": await self.chain.ask("price_url"),
            "DEXSCREENER_URL": await self.chain.ask("dexscreener_url"),
        }


@asynccontextmanager
async def _outside(load: Load) -> AsyncGenerator[Around]:
    everybody = list(filter_sets(load.open))
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bot-payments-")))
        postgres = await stack.enter_async_context(EmbeddedPostgres(directory / "postgres"))
        store = await stack.enter_async_context(EmbeddedRedis(directory / "redis"))
        await migrate(postgres.dsn)
        await fill(postgres.dsn, everybody)
        telegram = await stack.enter_async_context(in_own_process(telegram_part, FloodLimits(), (0.0, 0.0)))
        await telegram.ask("add_people", [one.user_id for one in everybody])
        chain = await stack.enter_async_context(in_own_process(chain_part))
        yield Around(
            directory=directory, redis_url=store.url, postgres_dsn=postgres.dsn, chain=chain, telegram=telegram
        )


class _Price:
    async def sol_usd(self) -> Decimal:
        return SOL_USD


async def _opened(load: Load, around: Around) -> list[PaymentRequest]:
    """Let everybody have an invoice, by the bot's own service."""
    user_ids = [one.user_id for one in filter_sets(load.open)]
    receiver = receiver_of(await around.chain.ask("merchant"), await around.chain.ask("usdc_mint"))
    async with RedisManager(around.redis_url) as redis:
        journal = Journal(redis, PostgresManager(around.postgres_dsn))
        ledger = Ledger(redis, journal, messages=PaymentNotices(clock=now), clock=now, needs_epoch=True)
        rates = Rates(one=_Price(), other=_Price(), clock=now)
        invoicing = Invoicing(ledger=ledger, rates=rates, receiver=receiver, label="Shop", clock=now)
        requests: list[PaymentRequest] = []
        for number, user_id in enumerate(user_ids):
            coin: Coin = "usdc" if number % 2 else "sol"
            months = tuple(DAYS)[number // 2 % len(DAYS)]
            price = Decimal(19 + 10 * (number // 8 % 12)) * months
            offer = Offer(plan="pro", months=months, days=DAYS[months], price_usd=price)
            requests.append(await invoicing.make(user_id, offer, coin))
    return requests


async def _watched(load: Load, around: Around, bot: RunningBot, requests: Sequence[PaymentRequest]) -> Watched:
    chance = Random(9)
    foreign = round(FOREIGN_PER_HOUR * load.seconds / 3_600)
    paying = chance.sample(requests, load.payments)
    due = [(chance.uniform(0, load.seconds), request) for request in paying]
    due += [(chance.uniform(0, load.seconds), None) for _ in range(foreign)]
    due.sort(key=lambda one: one[0])
    await asyncio.sleep(5.0)  # the first looks have no cursor
    await around.chain.ask("begin_counting")
    cpu_s, started_at = bot.cpu_s(), time.perf_counter()
    invoice_of: dict[str, str] = {}
    for number, (at_s, request) in enumerate(due):
        await asyncio.sleep(max(0.0, started_at + at_s - time.perf_counter()))
        if request is None:
            await around.chain.ask("transfer", number)
        else:
            invoice_of[await around.chain.ask("pay", request.url)] = request.invoice.id
    receipts = await _receipts(around, set(invoice_of.values()))
    seconds, cpu_s = time.perf_counter() - started_at, bot.cpu_s() - cpu_s
    ways: dict[str, Way] = await around.chain.ask("ways")
    timed = [(way, receipts[invoice_of[key]][0]) for key, way in ways.items() if receipts.get(invoice_of[key])]
    return Watched(
        ways=[way for way, _ in timed],
        receipts_us=[at_us for _, at_us in timed],
        lost=len(invoice_of.values() - receipts.keys()),
        twice=sum(len(times) - 1 for times in receipts.values()),
        asked=await around.chain.ask("asked"),
        seconds=seconds,
        cpu_s=cpu_s,
        rss_mb=bot.rss_mb(),
    )


async def _receipts(around: Around, invoices: set[str]) -> dict[str, list[int]]:
    """Wait for all of them, and a moment longer for what should not come; or for as long as there is patience."""
    deadline = time.perf_counter() + PATIENCE_S
    while time.perf_counter() < deadline:
        found: dict[str, list[int]] = await around.telegram.ask("receipts")
        if invoices <= found.keys():
            break
        await asyncio.sleep(0.5)
    await asyncio.sleep(2.0)
    return await around.telegram.ask("receipts")


async def _asking_each(load: Load, around: Around, requests: Sequence[PaymentRequest]) -> float:
    """Return how many references can be asked for in a second, by the same client within the same budget."""
    sys.stderr.write("asking for each reference …\n")
    urls: list[str] = await around.chain.ask("urls")
    async with SolanaRpcManager(urls, requests_per_s=REQUESTS_PER_S) as rpc:
        for request in requests[:BURST]:
            await rpc.signatures(request.invoice.reference)
        started_at = time.perf_counter()
        for request in requests[: load.references]:
            await rpc.signatures(request.invoice.reference)
        return load.references / (time.perf_counter() - started_at)
