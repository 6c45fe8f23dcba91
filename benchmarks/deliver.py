"""Sending: against a Telegram that counts to the letter, and how fast the transport is when nobody counts.

One call that thousands of subscribers want fills the outbox of `main.py run`. The sandbox's Telegram lets 30 messages
into any window of one second (and three into any three seconds of a private chat), looks at each request 5-80 ms after
it came, and refuses with 429 for as long as it says. Counted there, in its own process: what it let in within 120 s,
what it refused, and in the end what never came.

python-telegram-bot's AIORateLimiter gets the same Telegram and as many chats: with its defaults, where a refused
message is lost, and with retries. The transport is `sendMessage` without any limit, 50 at a time.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import uvloop
from telegram.error import TelegramError
from telegram.ext import AIORateLimiter, ExtBot
from telegram.request import BaseRequest, HTTPXRequest

from benchmarks.kit.bot import RunningBot, running_bot
from benchmarks.kit.outside import Fates, Outside, outside
from benchmarks.kit.processes import Part, in_own_process
from benchmarks.kit.report import Row, at_least, at_most, for_comparison
from benchmarks.kit.telegram import TOKEN, Received, telegram_part
from benchmarks.kit.traffic import FIRST_USER, Mix
from domain.filters.registry import FilterSet, Range
from managers.telegram.request import AiohttpRequest
from sandbox.telegram.limits import FloodLimits

ALLOWED_PER_S = 30
REACHED = 0.9
"""Share of it that is promised."""
JITTER_S = (0.005, 0.080)
PER_S = 3_000
AT_ONCE = 50
POLL_EVERY_S = 0.5
TIMEOUT_S = 900.0
TEXT = "<b>SOME</b> Some Token called by @alpha, market cap 120K, liquidity 30K, holders 340. Do your own research."


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    seconds: int
    """Of backlog that are counted."""
    backlog: int
    """Messages: more than the limit lets through in that time."""
    peer_seconds: int
    transport: int
    """Messages that our transport sends."""
    slow_transport: int


FULL = Plan(seconds=120, backlog=3_700, peer_seconds=30, transport=15_000, slow_transport=1_500)
QUICK = Plan(seconds=4, backlog=150, peer_seconds=3, transport=1_000, slow_transport=200)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="a few seconds of each, to see that it works")


def run(arguments: argparse.Namespace) -> list[Row]:
    plan = QUICK if arguments.quick else FULL
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_measure(plan))


async def _measure(plan: Plan) -> list[Row]:
    limited, fates = await _backlog(plan)
    default = await _peer(plan, retries=0)
    patient = await _peer(plan, retries=5)
    ours_per_s = await _transport(AiohttpRequest(), plan.transport)
    httpx_per_s = await _transport(HTTPXRequest(connection_pool_size=2 * AT_ONCE), plan.slow_transport)
    target = ALLOWED_PER_S * REACHED
    return [
        at_least(f"{plan.seconds} s of backlog: messages let in", limited.per_s, "/s", target),
        at_most(f"{plan.seconds} s of backlog: refusals", limited.refusals, "", 0),
        at_most("whole backlog: alerts lost", fates.lost, f"of {fates.accepted:,}", 0),
        at_most("whole backlog: alerts sent twice", fates.twice, "", 0),
        *_peer_rows("AIORateLimiter as it comes", plan, default),
        *_peer_rows("AIORateLimiter, 5 retries", plan, patient),
        for_comparison("ours against AIORateLimiter as it comes", limited.per_s / default.per_s, "x"),
        at_least("transport without limits: ours, on aiohttp", ours_per_s, "/s", PER_S),
        for_comparison("transport without limits: the library's default, on httpx", httpx_per_s, "/s"),
        for_comparison("transport: ours against the default", ours_per_s / httpx_per_s, "x"),
    ]


@dataclass(frozen=True, slots=True)
class Limited:
    per_s: float
    refusals: int
    failed: int = 0
    """Messages that were given up."""


def _limited(received: Received, seconds: int, failed: int = 0) -> Limited:
    """What came in within so long of the first message."""
    first_us = received.arrivals[0].at_us
    let_in = sum(arrival.at_us < first_us + seconds * 1_000_000 for arrival in received.arrivals)
    return Limited(let_in / seconds, received.refusals, failed)


def _peer_rows(name: str, plan: Plan, peer: Limited) -> list[Row]:
    return [
        for_comparison(f"{name}, {plan.peer_seconds} s: messages let in", peer.per_s, "/s"),
        for_comparison(f"{name}, {plan.peer_seconds} s: refusals", peer.refusals, ""),
        for_comparison(f"{name}, {plan.peer_seconds} s: messages lost", peer.failed, ""),
    ]


async def _backlog(plan: Plan) -> tuple[Limited, Fates]:
    sys.stderr.write(f"a backlog of {plan.backlog:,} …\n")
    everybody = [
        FilterSet(user_id=FIRST_USER + number, number=1, name="Mine", rules={"market_cap_usd": Range(minimum=1.0)})
        for number in range(plan.backlog)
    ]
    async with outside(everybody, Mix(interest=1.0, new_share=1.0), latency_s=JITTER_S) as around:
        async with running_bot(around.directory / "bot", seconds=TIMEOUT_S, **await around.settings()) as bot:
            await bot.wait_for("Loaded after")
            bot.ignore_output()
            await around.feed.ask("prepare", 1)
            await around.feed.ask("play", ALLOWED_PER_S, 1)
            await _emptied(plan, around, bot)
        received: Received = await around.telegram.ask("received")
        return _limited(received, plan.seconds), await around.fates()


async def _emptied(plan: Plan, around: Outside, bot: RunningBot) -> None:
    """Wait until everything has been let in, or nothing more comes of it."""
    deadline = time.monotonic() + 3 * plan.backlog / ALLOWED_PER_S + 30
    while time.monotonic() < deadline:
        await asyncio.sleep(POLL_EVERY_S)
        claimed = (await bot.metrics())["alerts_claimed_total"]
        if claimed == plan.backlog and not await around.waiting():
            return


async def _peer(plan: Plan, *, retries: int) -> Limited:
    sys.stderr.write(f"AIORateLimiter, {retries} retries …\n")
    # It logs each refusal as an error or a stack trace, thousands of them.
    logging.getLogger("telegram.ext.AIORateLimiter").setLevel(logging.CRITICAL)
    logging.getLogger("telegram.ext.ExtBot").setLevel(logging.CRITICAL)
    chat_ids = range(FIRST_USER, FIRST_USER + plan.backlog)
    failed = 0
    async with in_own_process(telegram_part, FloodLimits(), JITTER_S) as telegram:
        await telegram.ask("add_people", list(chat_ids))
        bot = ExtBot(
            TOKEN,
            base_url=await telegram.ask("url") + "/bot",
            request=HTTPXRequest(connection_pool_size=256),
            rate_limiter=AIORateLimiter(max_retries=retries),
        )

        async def send(chat_id: int) -> None:
            nonlocal failed
            try:
                await bot.send_message(chat_id, TEXT, parse_mode="HTML")
            except TelegramError:
                failed += 1

        async with bot:
            sending = [asyncio.create_task(send(chat_id)) for chat_id in chat_ids]
            await asyncio.wait(sending, timeout=plan.peer_seconds)
            for task in sending:
                task.cancel()
            await asyncio.gather(*sending, return_exceptions=True)
        return _limited(await telegram.ask("received"), plan.peer_seconds, failed)


async def _transport(request: BaseRequest, count: int) -> float:
    """Messages per second."""
    sys.stderr.write(f"transport by {type(request).__name__} …\n")
    async with in_own_process(telegram_part, FloodLimits.off(), (0.0, 0.0)) as telegram:
        chat_ids = range(FIRST_USER, FIRST_USER + 1_000)
        await telegram.ask("add_people", list(chat_ids))
        async with ExtBot(TOKEN, base_url=await _base_url(telegram), request=request) as bot:
            await _send_all(bot, [chat_ids[0]] * AT_ONCE)  # opens the connections
            started_at = time.perf_counter()
            await _send_all(bot, (chat_ids[number % len(chat_ids)] for number in range(count)))
            return count / (time.perf_counter() - started_at)


async def _base_url(telegram: Part) -> str:
    return f"{await telegram.ask('url')}/bot"


async def _send_all(bot: ExtBot[Any], chat_ids: Iterable[int]) -> None:
    """One message to each, `AT_ONCE` at a time."""
    left = iter(chat_ids)

    async def work() -> None:
        for chat_id in left:
            await bot.send_message(chat_id, TEXT, parse_mode="HTML")

    async with asyncio.TaskGroup() as workers:
        for _ in range(AT_ONCE):
            workers.create_task(work())
