"""Updates about money: nobody waits behind others to pay, and Telegram keeps a payment until it is written down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from telegram import Update
from telegram.ext import ContextTypes, TypeHandler

from domain.payments.stars import PreCheckout, StarPayment
from managers.telegram.client import TelegramManager
from managers.telegram.payment_lane import QUERIES_PER_PERSON, WRITTEN_WITHIN_S, Money, PaymentLane
from managers.telegram.rate_limiter import TelegramRateLimiter
from managers.telegram.update_queue import AT_ONCE
from runtime.errors import TransientError
from tests.telegram.foreign_server import PRIVATE_CHAT, SENDER, TOKEN, ForeignBotApi, polling
from tests.telegram.virtual_time import run

Context = ContextTypes.DEFAULT_TYPE
QUERY: dict[str, Any] = {
    "id": "q1",
    "from": SENDER,
    "currency": "XTR",
    "total_amount": 250,
    "invoice_payload": "INV1",
}
PAID: dict[str, Any] = {
    "currency": "XTR",
    "total_amount": 250,
    "invoice_payload": "INV1",
    "telegram_payment_charge_id": "charge1",
    "provider_payment_charge_id": "",
}
PAYMENT = StarPayment(
    charge_id="charge1", user_id=7, currency="XTR", amount=250, payload="INV1", at=datetime.fromtimestamp(9, UTC)
)


def service_message(**content: object) -> dict[str, Any]:
    return {"message_id": 1, "date": 9, "chat": PRIVATE_CHAT, "from": SENDER, **content}


class Till:
    """Handles updates as the bot would; writes a payment down as soon as it may."""

    def __init__(self, manager: TelegramManager) -> None:
        self.said: list[str] = []
        self.asked: list[PreCheckout] = []
        self.written: list[StarPayment] = []
        self.tried = 0
        self.may_write = True
        self.may_answer = asyncio.Event()
        self.changed = asyncio.Condition()
        for kind, handle in ((Update, self._answer), (PreCheckout, self._ask), (Money, self._write)):
            manager.application.add_handler(TypeHandler(kind, handle))

    async def _answer(self, update: Update, _: Context) -> None:
        await self._note(lambda: self.said.append((update.message and update.message.text) or ""))
        await self.may_answer.wait()

    async def _ask(self, query: PreCheckout, _: Context) -> None:
        await self._note(lambda: self.asked.append(query))

    async def _write(self, money: Money, _: Context) -> None:
        self.tried += 1
        if self.may_write:
            await self._note(lambda: self.written.append(money.payment))
            money.acknowledge()

    async def _note(self, change: Callable[[], object]) -> None:
        async with self.changed:
            change()
            self.changed.notify_all()

    async def until(self, condition: Callable[[], object]) -> None:
        async with self.changed, asyncio.timeout(10):
            await self.changed.wait_for(condition)


@pytest.fixture
async def server() -> AsyncGenerator[ForeignBotApi]:
    async with ForeignBotApi() as server:
        yield server


@pytest.fixture
async def manager(server: ForeignBotApi) -> AsyncGenerator[TelegramManager]:
    async with TelegramManager(token=TOKEN, api_base=server.url, limiter=TelegramRateLimiter()) as manager:
        yield manager


async def test_who_pays_waits_behind_nobody(server: ForeignBotApi, manager: TelegramManager) -> None:
    till = Till(manager)
    async with polling(manager):
        for person in range(1, AT_ONCE + 20):
            await server.bring_text("hello", chat=PRIVATE_CHAT | {"id": person})
        await till.until(lambda: len(till.said) == AT_ONCE)
        await server.bring(pre_checkout_query=QUERY)
        await server.bring(message=service_message(successful_payment=PAID))
        await till.until(lambda: till.asked and till.written)
        assert len(till.said) == AT_ONCE, "all of them are still being answered"
        till.may_answer.set()
    (query,) = till.asked
    assert (query.query_id, query.user_id, query.amount, query.payload) == ("q1", 7, 250, "INV1")
    assert till.written == [PAYMENT]


async def test_telegram_keeps_a_payment_until_it_is_written_down(
    server: ForeignBotApi, manager: TelegramManager
) -> None:
    till = Till(manager)
    till.may_write = False
    till.may_answer.set()
    async with polling(manager):
        await server.bring_text("before")
        await server.bring(message=service_message(successful_payment=PAID))
        await server.bring_text("after", chat=PRIVATE_CHAT | {"id": 8})
        await till.until(lambda: len(till.said) == 2)
        await server.until_asked("getUpdates", 3)
        assert {number for number, _ in server.updates} >= {2, 3}, "nothing from the payment on is confirmed"
        await server.bring(pre_checkout_query=QUERY)
        await till.until(lambda: till.asked)
        till.may_write = True
        await till.until(lambda: till.written)
        await server.until_confirmed()
        assert manager.health().ok
    assert till.written == [PAYMENT]
    assert till.tried > 1
    assert sorted(till.said) == ["after", "before"], "what came again with it is handled once"


async def test_who_runs_next_gets_what_was_not_written_down(server: ForeignBotApi) -> None:
    for may_write in (False, True):
        async with TelegramManager(token=TOKEN, api_base=server.url, limiter=TelegramRateLimiter()) as manager:
            till = Till(manager)
            till.may_answer.set()
            till.may_write = may_write
            if not may_write:
                await server.bring(message=service_message(refunded_payment=PAID))
                await server.bring_text("after")
            async with polling(manager):
                await till.until(lambda till=till: till.said)
                if may_write:
                    await till.until(lambda till=till: till.written)
                    await server.until_confirmed()
            assert [(one.charge_id, one.is_refunded) for one in till.written] == [("charge1", True)] * may_write


async def test_a_webhook_is_answered_when_the_payment_is_written_down(manager: TelegramManager) -> None:
    till = Till(manager)
    till.may_write = False
    bringing = asyncio.create_task(
        manager.feed_update({"update_id": 1, "message": service_message(successful_payment=PAID)})
    )
    await manager.feed_update({"update_id": 2, "pre_checkout_query": QUERY})
    await till.until(lambda: till.asked)
    assert not bringing.done()
    till.may_write = True
    await bringing
    assert till.written == [PAYMENT]


@pytest.mark.parametrize(
    "broken",
    [
        {"pre_checkout_query": {**QUERY, "total_amount": "many"}},
        {"pre_checkout_query": None},
        {"message": service_message(successful_payment=7)},
        {"message": service_message(successful_payment=None)},
        {"message": {"date": 9, "successful_payment": PAID}},
        {"message": service_message(successful_payment=PAID) | {"date": 10**18}},
    ],
)
async def test_one_that_cannot_be_read_costs_itself(manager: TelegramManager, broken: dict[str, Any]) -> None:
    till = Till(manager)
    await manager.feed_update({"update_id": 1, **broken})
    await manager.feed_update({"update_id": 2, "message": service_message(successful_payment=PAID)})
    assert till.written == [PAYMENT]
    assert manager.inbox.unreadable == 1


def query_of(person: int) -> PreCheckout:
    return PreCheckout(query_id="q", user_id=person, language="en", currency="XTR", amount=1, payload="INV1")


def in_virtual_time(
    handle: Callable[[object], Awaitable[None]], story: Callable[[PaymentLane], Awaitable[None]]
) -> None:
    async def told() -> None:
        lane = PaymentLane(handle)
        try:
            await story(lane)
        finally:
            await lane.close()

    run(told())


def test_what_is_not_written_down_in_time_is_said_to_whoever_brought_it() -> None:
    tries = 0

    async def never_writes(_: object) -> None:
        nonlocal tries
        tries += 1

    async def story(lane: PaymentLane) -> None:
        lane.write(1, PAYMENT)
        began_at = asyncio.get_running_loop().time()
        for _ in range(2):
            with pytest.raises(TransientError):
                await lane.written(1)
        assert asyncio.get_running_loop().time() - began_at == pytest.approx(2 * WRITTEN_WITHIN_S)
        await lane.written(2)
        assert lane.first_unwritten == 1
        assert 2 < tries < 100, "it is tried again, ever more slowly"

    in_virtual_time(never_writes, story)


def test_one_person_cannot_keep_others_from_paying() -> None:
    asked: list[int] = []

    async def slow(query: object) -> None:
        assert isinstance(query, PreCheckout)
        asked.append(query.user_id)
        await asyncio.sleep(1.5)

    async def story(lane: PaymentLane) -> None:
        for _ in range(1_000):
            lane.ask(query_of(1))
        lane.ask(query_of(2))
        await asyncio.sleep(1)
        assert asked == [1] * QUERIES_PER_PERSON + [2]
        assert lane.dropped == 1_000 - QUERIES_PER_PERSON
        await lane.drained()
        lane.ask(query_of(1))
        await lane.drained()
        assert asked[-1] == 1

    in_virtual_time(slow, story)


def test_a_payment_that_breaks_its_handler_holds_up_nobody() -> None:
    async def breaks(_: object) -> None:
        raise RuntimeError("a handler that is wrong")

    async def story(lane: PaymentLane) -> None:
        lane.write(1, PAYMENT)
        await lane.written(1)
        assert lane.first_unwritten is None

    in_virtual_time(breaks, story)
