"""What watches money is behind, contradicted, unanswered, or has something that fits nothing."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.payments.nowpayments.faults import Fault as ProcessorFault
from sandbox.payments.solana.faults import Fault
from sandbox.payments.solana.node import RpcNode
from services.monitoring.alarms import AlarmsService
from services.payments.group import NowPaymentsServices, SettlingServices, SolanaServices
from services.payments.reconciliation import Reconciliation
from services.schedule.due_times import Due
from services.schedule.schedule import Schedule
from tests.alarms.kit import Provocation, Scene, Stage


def node_two(scene: Scene) -> RpcNode:
    return scene.parts["second"]


def pay(scene: Scene) -> None:
    """Send what fits no invoice; it is final at once."""
    scene.payer.send_sol(scene.merchant.address, 300_000_000)
    scene.chain.finalize()


@asynccontextmanager
async def rpc_fails(scene: Scene) -> AsyncGenerator[None]:
    for node in scene.chain.nodes:
        node.faults.always = Fault.ERROR_5XX
    yield
    for node in scene.chain.nodes:
        node.faults.always = None


@asynccontextmanager
async def one_witness_is_away(scene: Scene) -> AsyncGenerator[None]:
    node_two(scene).faults.always = Fault.ERROR_5XX
    scene.bot.of(AlarmsService)._alarms["solana servers"].after_s = 20.0
    pay(scene)
    yield
    node_two(scene).faults.always = None


def another_amount(method: str, result: Any) -> Any:
    """What a lying node says of a transaction: more came than did."""
    if method == "getTransaction" and result:
        balances = [one + 1_000_000 for one in result["meta"]["postBalances"]]
        return {**result, "meta": {**result["meta"], "postBalances": balances}}
    return result


@asynccontextmanager
async def servers_contradict(scene: Scene) -> AsyncGenerator[None]:
    node_two(scene).faults.rewrite = another_amount
    pay(scene)
    yield
    node_two(scene).faults.rewrite = None
    await scene.until(lambda: not scene.bot.of(SolanaServices).watcher.waiting)
    scene.ten_minutes_pass("solana contradiction")


def nonsense(method: str, result: Any) -> Any:
    return {**result, "meta": {"err": None}} if method == "getTransaction" and result else result


@asynccontextmanager
async def nobody_can_read(scene: Scene) -> AsyncGenerator[None]:
    for node in scene.chain.nodes:
        node.faults.rewrite = nonsense
    pay(scene)
    yield
    for node in scene.chain.nodes:
        node.faults.rewrite = None
    scene.ten_minutes_pass("solana unreadable")


@asynccontextmanager
async def prices_differ(scene: Scene) -> AsyncGenerator[None]:
    scene.bot.of(AlarmsService)._alarms["sol price"].after_s = 20.0
    right, scene.parts["dexscreener"].sol_usd = scene.parts["dexscreener"].sol_usd, 300.0
    yield
    scene.parts["dexscreener"].sol_usd = right


@asynccontextmanager
async def processor_is_away(scene: Scene) -> AsyncGenerator[None]:
    scene.bot.of(AlarmsService)._alarms["nowpayments"].after_s = 20.0
    offer = next(offer for plan in scene.bot.bot.services.plans.subscriptions.plans.sold for offer in plan.offers)
    await scene.bot.of(NowPaymentsServices).orders.buy(7, offer, "usdttrc20", "Pro")
    scene.processor.faults.always = ProcessorFault.BAD_GATEWAY
    yield
    scene.processor.faults.always = None


@asynccontextmanager
async def fits_nothing(scene: Scene) -> AsyncGenerator[None]:
    pay(scene)
    yield
    services = scene.bot.of(SettlingServices)
    waiting = await services.search.waiting("unmatched", 0, 5)
    for record in waiting.records:
        await services.settling.dismiss(record.arrival.key, 77, "a gift")


@asynccontextmanager
async def not_compared(scene: Scene) -> AsyncGenerator[None]:
    """Two hours after its time, no server answers the comparison with the chain."""
    job = scene.bot.of(Schedule)._jobs["solana_reconciliation"]
    due = Due(job=job.name, subject="", at=datetime.now(UTC) - timedelta(days=2))
    async with rpc_fails(scene):
        await job.run(due)
        yield
    async with asyncio.timeout(60):  # until servers are asked again
        while await scene.bot.of(Reconciliation).left():
            await asyncio.sleep(1)
            await job.run(due)


@asynccontextmanager
async def nobody_can_pay(_scene: Scene) -> AsyncGenerator[None]:
    """There are prices, and no way is configured."""
    yield


PAID = Stage(shop=True)
PROVOKED = {
    "ways of paying": Provocation(wrong=nobody_can_pay, stage=Stage(stars=False), then=Stage()),
    "unmatched payments": Provocation(wrong=fits_nothing, stage=PAID),
    "payments": Provocation(wrong=not_compared, stage=PAID),
    "nowpayments": Provocation(wrong=processor_is_away, stage=PAID),
    "solana": Provocation(
        wrong=rpc_fails,
        stage=Stage(shop=True, times={"services.monitoring.payment_conditions:BEHIND_AFTER": timedelta(seconds=4)}),
    ),
    "solana servers": Provocation(wrong=one_witness_is_away, stage=PAID),
    "solana unreadable": Provocation(
        wrong=nobody_can_read, stage=Stage(shop=True, limits={"services.payments.solana_watcher:MAX_TRIES": 2})
    ),
    "solana contradiction": Provocation(wrong=servers_contradict, stage=PAID),
    "sol price": Provocation(
        wrong=prices_differ,
        stage=Stage(
            shop=True, times={"services.monitoring.payment_conditions:PRICE_ASKED_EVERY": timedelta(seconds=1)}
        ),
    ),
}
