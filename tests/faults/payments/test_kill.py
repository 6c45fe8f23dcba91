"""`kill -9` of the bot at every step from money that has come to the receipt."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.faults.ledger import IN_FLIGHT
from tests.faults.payments.conftest import PaymentVerdict
from tests.faults.payments.crowd import AT_THE_PROCESSOR, EVERYBODY, IN_STARS, ON_CHAIN, Mix
from tests.faults.payments.shop import Shop

DIES_WITHIN_S = 90
THOROUGH = pytest.mark.thorough


def at(point: str, mix: Mix, *, times: int = 3, is_short: bool = False) -> Any:
    way = {id(ON_CHAIN): "on chain", id(AT_THE_PROCESSOR): "NOWPayments", id(IN_STARS): "Stars"}.get(id(mix), "")
    name = f"“{point}”" + (f", {way}" if way else "")
    return pytest.param(mix, f"{point}:{times}", name, id=f"{point} {way}".strip(), marks=() if is_short else THOROUGH)


POINTS = [
    at("payment read", ON_CHAIN),
    at("arrival recorded", ON_CHAIN),
    at("credited", ON_CHAIN, is_short=True),
    at("cursor moved", ON_CHAIN, times=1),
    at("notification received", AT_THE_PROCESSOR),
    at("payment looked at", AT_THE_PROCESSOR),
    at("arrival recorded", AT_THE_PROCESSOR),
    at("credited", AT_THE_PROCESSOR, times=2),
    at("notification taken", AT_THE_PROCESSOR),
    at("checkout answered", IN_STARS),
    at("stars told", IN_STARS),
    at("credited", IN_STARS),
    at("plan told", EVERYBODY),
    at("plan shown", EVERYBODY),
    at("begun", EVERYBODY),
    at("sent", EVERYBODY),
    at("settled", EVERYBODY),
    at("journaled", EVERYBODY),
]


@pytest.mark.parametrize(("shop", "point", "name"), POINTS, indirect=["shop"])
async def test_killed_at(point: str, name: str, shop: Shop, verdict: PaymentVerdict) -> None:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(shop.bot(FAULT_POINT=point))
        async with shop.paying():
            await first.dies(timeout_s=DIES_WITHIN_S)
            second = await stack.enter_async_context(shop.bot())
        counts = await shop.finish(second)
    verdict(f"`kill -9` of the bot at {name}", counts, repeats=IN_FLIGHT)


@pytest.mark.thorough
async def test_killed_again_and_again(shop: Shop, verdict: PaymentVerdict) -> None:
    kills = 6
    async with AsyncExitStack() as stack:
        bot = await stack.enter_async_context(shop.bot())
        async with shop.paying():
            for _ in range(kills):
                await asyncio.sleep(shop.size.over_s / kills)
                await bot.kill()
                bot = await stack.enter_async_context(shop.bot())
        counts = await shop.finish(bot)
    verdict(f"`kill -9` of the bot while people pay, {kills} times", counts, repeats=IN_FLIGHT * kills)


@pytest.mark.thorough
@pytest.mark.parametrize("end", ["killed", "stopped"])
async def test_another_one_takes_over(end: str, shop: Shop, verdict: PaymentVerdict) -> None:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(shop.bot())
        second = await shop.stage.role(stack, "all", **shop.settings())
        await second.says("standing by")
        async with shop.paying():
            await shop.books.more(len(shop.people) // 4)
            await (first.kill() if end == "killed" else shop.stage.end(first))
            await shop.leads_to(second)
        counts = await shop.finish(second)
    verdict(
        f"The bot {end} while people pay, another one takes over", counts, repeats=IN_FLIGHT if end == "killed" else 0
    )


@pytest.mark.thorough
async def test_gateways_hand_over(shop: Shop, verdict: PaymentVerdict) -> None:
    """Divided roles, and of two gateways the one that watches is killed."""
    settings = shop.settings()
    async with AsyncExitStack() as stack:
        others = [await shop.stage.role(stack, role, **settings) for role in ("ingest", "match", "send")]
        first = await shop.stage.role(stack, "gateway", **settings)
        await shop.leads_to(first)
        second = await shop.stage.role(stack, "gateway", **settings)
        async with shop.paying():
            await shop.books.more(len(shop.people) // 8)
            await first.kill()
            await shop.leads_to(second)
        counts = await shop.finish(second, *others)
    verdict("`kill -9` of the gateway that watches while people pay, another one takes over", counts)
