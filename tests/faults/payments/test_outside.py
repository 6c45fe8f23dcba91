"""RPC servers, the processor and Telegram are away, refuse, and say what is not so."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from sandbox.payments.nowpayments.faults import Fault as ProcessorFault
from sandbox.payments.solana.faults import Fault
from tests.faults.payments.conftest import PaymentVerdict
from tests.faults.payments.crowd import AT_THE_PROCESSOR, EVERYBODY, FORKED, ON_CHAIN
from tests.faults.payments.shop import Shop

LIES_S = {False: 4.0, True: 15.0}
"""By whether the run is full."""

Lie = Callable[[str, Any], Any]
THOROUGH = pytest.mark.thorough


def nothing(method: str, result: Any) -> Any:
    """No transaction is known, no signature is listed."""
    empty: dict[str, Any] = {"getTransaction": None, "getSignaturesForAddress": []}
    return empty.get(method, result)


def another() -> Lie:
    """Every transaction is the first one that was ever asked for."""
    first: list[Any] = []

    def lie(method: str, result: Any) -> Any:
        if method != "getTransaction" or result is None:
            return result
        first.append(result)
        return first[0]

    return lie


def more(method: str, result: Any) -> Any:
    """Everybody was sent a thousand times as much."""
    if method != "getTransaction" or result is None:
        return result
    told = json.loads(json.dumps(result))
    meta = told["meta"]
    meta["postBalances"] = [
        before + (after - before) * 1_000 if after > before else after
        for before, after in zip(meta["preBalances"], meta["postBalances"], strict=True)
    ]
    for one in meta["postTokenBalances"]:
        one["uiTokenAmount"]["amount"] += "000"
    return told


def succeeded(method: str, result: Any) -> Any:
    """What failed has not, and brought us a lot."""
    if method == "getSignaturesForAddress":
        return [one | {"err": None} for one in result]
    if method != "getTransaction" or result is None or result["meta"]["err"] is None:
        return result
    told = json.loads(json.dumps(result))
    told["meta"]["err"] = None
    told["meta"]["postBalances"] = [balance + 10**12 for balance in told["meta"]["postBalances"]]
    return told


@pytest.mark.parametrize("shop", [ON_CHAIN], indirect=True)
@pytest.mark.parametrize(
    ("liar", "what", "lie"),
    [
        pytest.param(0, "a thousand times as much", lambda: more, id="more", marks=THOROUGH),
        pytest.param(1, "a thousand times as much", lambda: more, id="more, the second", marks=THOROUGH),
        pytest.param(0, "nothing", lambda: nothing, id="nothing", marks=THOROUGH),
        pytest.param(0, "another transaction", another, id="another", marks=THOROUGH),
        pytest.param(0, "that what failed has succeeded", lambda: succeeded, id="succeeded", marks=THOROUGH),
    ],
)
async def test_an_rpc_server_lies(
    liar: int, what: str, lie: Callable[[], Lie], shop: Shop, verdict: PaymentVerdict
) -> None:
    """The one that is preferred, or the one that confirms it; nobody is credited by the word of one alone."""
    server = shop.solana.nodes[liar]
    server.faults.rewrite = lie()
    async with shop.bot() as bot:
        async with shop.paying():
            await asyncio.sleep(LIES_S[shop.stage.size.full])
        lied = await shop.books.counts()
        server.faults.rewrite = None
        counts = await shop.finish(bot)
    assert lied.for_nothing == lied.twice == 0, lied.line()
    verdict(f"RPC server {liar + 1} of 2 saying {what}", counts)


@pytest.mark.thorough
@pytest.mark.parametrize("shop", [ON_CHAIN], indirect=True)
@pytest.mark.parametrize(
    ("servers", "fault"),
    [(1, Fault.RATE_LIMIT), (2, Fault.RATE_LIMIT), (1, Fault.HALF_BODY), (2, Fault.HTML_200), (2, Fault.DROP)],
    ids=str,
)
async def test_rpc_servers_are_away(fault: Fault, servers: int, shop: Shop, verdict: PaymentVerdict) -> None:
    broken = shop.solana.nodes[:servers]
    async with shop.bot() as bot:
        async with shop.paying():
            await asyncio.sleep(shop.size.over_s / 4)
            for server in broken:
                server.faults.always = fault
            await asyncio.sleep(LIES_S[shop.stage.size.full])
            for server in broken:
                server.faults.always = None
        counts = await shop.finish(bot)
    verdict(f"{servers} of 2 RPC servers answering {fault.value.replace('_', ' ')}", counts)


@pytest.mark.thorough
@pytest.mark.parametrize("shop", [FORKED], indirect=True)
async def test_transactions_are_forked_away(shop: Shop, verdict: PaymentVerdict) -> None:
    """What was confirmed disappears: some send it again, some have paid nothing in the end."""
    async with shop.bot() as bot:
        async with shop.paying():
            pass
        counts = await shop.finish(bot)
    assert shop.paying_them.forked
    verdict(f"{shop.paying_them.forked} transactions confirmed and then forked away", counts)


@pytest.mark.thorough
@pytest.mark.parametrize("shop", [AT_THE_PROCESSOR], indirect=True)
async def test_notifications_late_twice_and_out_of_order(shop: Shop, verdict: PaymentVerdict) -> None:
    faults = shop.nowpayments.faults
    faults.copies_of_ipns, faults.holds_ipns = 3, True
    async with shop.bot() as bot:
        async with shop.paying():
            await asyncio.sleep(shop.size.over_s)
        chance = Random(1)
        shop.nowpayments.ipns.release(lambda held: chance.sample(held, len(held)))
        faults.holds_ipns = False
        counts = await shop.finish(bot)
    assert set(shop.paying_them.forgeries) == {401}
    verdict("Notifications of NOWPayments late, three times each, out of order, and forged", counts)


@pytest.mark.thorough
@pytest.mark.parametrize("shop", [AT_THE_PROCESSOR], indirect=True)
@pytest.mark.parametrize(
    ("fault", "lost"),
    [
        pytest.param(ProcessorFault.CHALLENGE, False, id="challenge, told"),
        pytest.param(ProcessorFault.ERROR_5XX, True, id="5xx, not told"),
        pytest.param(ProcessorFault.DROP, False, id="drop, told"),
    ],
)
async def test_the_processor_is_away(fault: ProcessorFault, lost: bool, shop: Shop, verdict: PaymentVerdict) -> None:  # noqa: FBT001 - a parameter of the test
    await_s = LIES_S[shop.stage.size.full]
    shop.nowpayments.faults.loses_ipns = lost
    async with shop.bot() as bot:
        async with shop.paying():
            await asyncio.sleep(shop.size.over_s / 4)
            shop.nowpayments.faults.always = fault
            await asyncio.sleep(await_s)
            shop.nowpayments.faults.always = None
        counts = await shop.finish(bot)
    told = ", without notifications" if lost else ""
    verdict(f"NOWPayments answering {fault.value.replace('_', ' ')} for a while{told}", counts)


@pytest.mark.thorough
@pytest.mark.parametrize("shop", [EVERYBODY], indirect=True)
async def test_telegram_is_away_while_receipts_are_due(shop: Shop, verdict: PaymentVerdict) -> None:
    faults = shop.stage.telegram.faults
    async with shop.bot() as bot:
        async with shop.paying():
            await shop.books.more(2)
            faults.drop_rate = 1.0
            await asyncio.sleep(LIES_S[shop.stage.size.full])
            faults.drop_rate = 0.0
        counts = await shop.finish(bot)
    verdict("Telegram away while receipts are due", counts)
