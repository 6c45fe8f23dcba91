"""What prices say is wrong, twice, late, or does not come at all; nobody is told what is not so, or misses what is."""

from __future__ import annotations

import pytest

from sandbox.providers.stand_in import Fault, StandIn
from tests.faults.tracking.conftest import TrackingVerdict
from tests.faults.tracking.exchange import Exchange
from tests.faults.tracking.lives import DAY_S, HOUR_S, STEP_S, Span

RISES = Span(tokens=40, called_within_s=0.25 * DAY_S, lasts_s=1.0 * DAY_S, tracked_for_s=1.2 * DAY_S)
LASTS_S = 1.6 * DAY_S

EXCHANGE = pytest.mark.parametrize("exchange", [RISES], indirect=True, ids=["rises"])
THOROUGH = pytest.mark.thorough


@THOROUGH
@EXCHANGE
async def test_ticks_repeated_out_of_order_and_off(exchange: Exchange, verdict: TrackingVerdict) -> None:
    """Each tick comes three times, an hour-old one after it; and each token's price is off by 10⁴ once, up or down."""
    exchange.repeats, exchange.says_old, exchange.off_by = 2, True, 1e4
    async with exchange.bot() as bot:
        await exchange.play(LASTS_S)
        counts = await exchange.finish(bot)
    verdict("Ticks repeated, out of order, and off by 10⁴ once for each token", counts)


@THOROUGH
@EXCHANGE
async def test_ticks_absent_for_an_hour(exchange: Exchange, verdict: TrackingVerdict) -> None:
    """Providers are asked instead."""
    async with exchange.bot() as bot:
        await exchange.play(LASTS_S / 3)
        exchange.says_nothing = True
        await exchange.play(HOUR_S)
        exchange.says_nothing = False
        await exchange.play(LASTS_S * 2 / 3)
        counts = await exchange.finish(bot)
    verdict("The feed says no price for an hour", counts)


@THOROUGH
@EXCHANGE
async def test_nobody_says_a_price_for_an_hour(exchange: Exchange, verdict: TrackingVerdict) -> None:
    """What was reached meanwhile and lasts is told late."""
    async with exchange.bot() as bot:
        await exchange.play(LASTS_S / 3)
        exchange.says_nothing, exchange.unseen_s = True, [*exchange.unseen_s, exchange.at_s]
        _answer_all(exchange, 503)
        await exchange.play(HOUR_S)
        exchange.says_nothing, exchange.unseen_s = False, [*exchange.unseen_s, exchange.at_s]
        _answer_all(exchange, 200)
        await exchange.play(LASTS_S * 2 / 3)
        counts = await exchange.finish(bot)
    verdict("Nobody says a price for an hour, neither feed nor providers", counts)


@THOROUGH
@EXCHANGE
@pytest.mark.parametrize("answer", ["html", "429", "stale", "wrong"])
async def test_a_provider_is_out_of_order(answer: str, exchange: Exchange, verdict: TrackingVerdict) -> None:
    """The most trusted one, all the time, or wrong for a moment: the others are asked."""
    async with exchange.bot() as bot:
        await exchange.play(LASTS_S / 4)
        _break(exchange, answer)
        await exchange.play(STEP_S)
        exchange.jupiter.off_by = {}
        await exchange.play(LASTS_S * 3 / 4)
        counts = await exchange.finish(bot)
    named = {
        "html": "Jupiter answering with HTML",
        "429": "Jupiter answering 429",
        "stale": "DexScreener with pools that nobody trades in any more, Jupiter unavailable",
        "wrong": "Jupiter off by 10⁴ for every third token, for a moment",
    }
    verdict(named[answer], counts)


def _break(exchange: Exchange, answer: str) -> None:
    addresses = [life.address for life in exchange.lives]
    match answer:
        case "html":
            pages: list[Fault] = ["html"] * 100_000
            exchange.jupiter.will(*pages)
        case "429":
            exchange.jupiter.status = 429
        case "stale":
            exchange.jupiter.status = 503
            exchange.dexscreener.leftovers = dict.fromkeys(addresses, 5_000.0)
        case _:
            exchange.jupiter.off_by = dict.fromkeys(addresses[::3], 1e4)


def _answer_all(exchange: Exchange, status: int) -> None:
    parts: tuple[StandIn, ...] = (exchange.jupiter, exchange.dexscreener, exchange.gecko)
    for one in parts:
        one.status = status
