"""A shop that sells for Stars: the sandbox's Telegram, real stores, and the part of the bot that takes the money."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Final

from prometheus_client import CollectorRegistry
from telegram.ext import TypeHandler

from domain.payments.entitlements import PlanStanding, standing_of
from domain.payments.invoices import Invoice
from domain.payments.plans import Offer
from domain.payments.stars import StarPayment
from handlers.conversation.base import Services
from handlers.conversation.dispatch import Dispatcher
from handlers.payments.stars import StarsMixin
from managers.storage.postgres import PostgresManager
from managers.telegram.client import TelegramManager
from managers.telegram.conversation import TelegramConversation
from managers.telegram.payment_lane import Money
from managers.telegram.payments import InvoiceText, TelegramPayments
from managers.telegram.rate_limiter import TelegramRateLimiter
from sandbox.telegram.people import SandboxUser
from sandbox.telegram.server import TelegramSandbox
from sandbox.telegram.updates import JsonObject
from services.payments.stars import StarsService
from services.subscribers.inputs import InputsService
from tests.conversation.wiring import services_of
from tests.payments.ledger_kit import START, Clock, Stores, stores_on
from texts import Texts
from web.app import create_app
from web.server import HttpServer
from web.telegram_webhook import PATH, TelegramWebhook

STARS: Final = 250
MONTH: Final = Offer(plan="pro", months=1, days=30, price_usd=Decimal("5.00"), stars=STARS)
YEAR: Final = Offer(plan="pro", months=12, days=365, price_usd=Decimal("50.00"), stars=2_500)
TEXT: Final = InvoiceText(title="Pro", description="Pro for a while", label="Pro")


class Brought:
    """How many payments Telegram brought."""

    count = 0


class Bot(StarsMixin):
    def __init__(self, services: Services) -> None:
        self.services = services


@dataclass(frozen=True, kw_only=True)
class Shop:
    """One process of the bot."""

    telegram: TelegramSandbox
    manager: TelegramManager
    stores: Stores
    stars: StarsService
    brought: Brought
    text: InvoiceText = TEXT

    async def sell(self, user: SandboxUser, offer: Offer = YEAR) -> str | dict[str, object]:
        """Make an invoice and return what the person pays by: a message, or a link to a subscription."""
        return await self.hand_over(user, await self.stars.open(user.id, offer))

    async def hand_over(self, user: SandboxUser, invoice: Invoice) -> str | dict[str, object]:
        if invoice.days == MONTH.days:
            return await self.stars.link(invoice, TEXT)
        message_id = await self.stars.send(invoice, TEXT, chat_id=user.id)
        return user.chat.messages[message_id]

    async def keys(self, user: SandboxUser) -> list[str]:
        """The keys of what somebody was given, the days with each."""
        given = await self.stores.ledger.entitlements(user.id)
        return sorted(f"{one.key.partition(':')[0]} {one.days}" for one in given)

    async def standing(self, user: SandboxUser) -> PlanStanding:
        return standing_of(await self.stores.ledger.entitlements(user.id))

    async def settled(self) -> None:
        """Wait until the bot has acknowledged everything that Telegram had for it."""
        await until(lambda: not self.telegram.cloud.updates.pending())

    async def recorded(self, payments: int, *, acknowledged: bool = True) -> None:
        """Wait until so many payments and refunds came in this process, and are acknowledged."""
        await until(lambda: self.brought.count >= payments)
        if acknowledged:
            await self.settled()

    def payment(
        self, user: SandboxUser, invoice: Invoice, charge_id: str, *, is_refunded: bool = False, days_ago: int = 0
    ) -> StarPayment:
        """What Telegram would tell."""
        return StarPayment(
            charge_id=charge_id,
            user_id=user.id,
            currency="XTR",
            amount=STARS,
            payload=invoice.id,
            at=self.stores.clock.now - timedelta(days=days_ago),
            is_refunded=is_refunded,
        )

    async def told(self) -> list[tuple[str, str]]:
        return [(one.kind, one.notice.state) for one in await self.stores.told()]


def invoice_for(user_id: int, invoice_id: str) -> Invoice:
    """For a month, long expired."""
    return Invoice(
        id=invoice_id,
        user_id=user_id,
        plan=MONTH.plan,
        days=MONTH.days,
        price_usd=MONTH.price_usd,
        method="stars",
        asset="XTR",
        amount=Decimal(STARS),
        created_at=START - timedelta(days=40),
        expires_at=START - timedelta(days=39),
    )


async def until(condition: Callable[[], bool], *, within_s: float = 10.0) -> None:
    """Wait for something that the sandbox tells nobody of."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - a number, no event
            await asyncio.sleep(0.01)


@asynccontextmanager
async def polling(manager: TelegramManager) -> AsyncGenerator[None]:
    task = asyncio.create_task(manager.poll())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


@asynccontextmanager
async def hooked(manager: TelegramManager) -> AsyncGenerator[None]:
    async def health() -> dict[str, object]:
        return {"ok": True}

    webhook = TelegramWebhook(secret="a-secret", feed=manager.feed_update)
    app = create_app(health=health, metrics=CollectorRegistry(), routes=[webhook.router])
    async with HttpServer(app, "127.0.0.1", 0) as server:
        await manager.set_webhook(f"http://127.0.0.1:{server.port}{PATH}", "a-secret")
        yield


Way = Callable[[TelegramManager], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def shop_on(
    telegram: TelegramSandbox, redis_url: str, postgres: PostgresManager, clock: Clock, way: Way = polling
) -> AsyncGenerator[Shop]:
    """A process that takes updates in until the block ends."""
    async with (
        stores_on(redis_url, postgres, clock) as stores,
        TelegramManager(token=telegram.token, api_base=telegram.url, limiter=TelegramRateLimiter()) as manager,
    ):
        stars = StarsService(ledger=stores.ledger, telegram=TelegramPayments(manager), postgres=postgres, clock=clock)
        services = services_of(
            telegram=TelegramConversation(manager),
            texts=Texts.load(),
            inputs=InputsService(stores.redis),
            admin_chat_ids=frozenset[int](),
            bot_username=lambda: "bot",
            clock=clock,
        )
        Dispatcher(Bot(replace(services, groups={StarsService: stars}))).install(manager.application)
        brought = Brought()

        async def count(_money: Money, _context: object) -> None:
            brought.count += 1

        manager.application.add_handler(TypeHandler(Money, count), group=1)
        async with way(manager):
            yield Shop(telegram=telegram, manager=manager, stores=stores, stars=stars, brought=brought)


async def customer(telegram: TelegramSandbox, name: str = "Ann", stars: int = 100_000) -> SandboxUser:
    user = telegram.user(name)
    await user.send("hello")
    user.wallet.top_up(stars)
    return user


def texts_of(user: SandboxUser) -> Sequence[str]:
    return [message["text"] for message in user.messages if message["from"] is not user.person and "text" in message]


def money_of(payer: SandboxUser, payment: JsonObject, kind: str = "successful_payment") -> JsonObject:
    """A service message about a payment, whoever agreed to it."""
    return {
        "message_id": 1_000,
        "date": int(time.time()),
        "chat": payer.chat.card,
        "from": payer.person,
        kind: payment | {"provider_payment_charge_id": ""},
    }
