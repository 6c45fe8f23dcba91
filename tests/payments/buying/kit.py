"""The whole bot with a chain, a processor and Telegram, and somebody who buys from it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import aiohttp
from msgspec import Struct

from bot.console import Terminal
from composition import Addresses, Composition, NowPaymentsAccess, SolanaAccess, connect
from config.settings import Settings
from domain.payments.invoices import Invoice
from sandbox.feed.server import FeedSandbox
from sandbox.market.market import Market
from sandbox.payments.nowpayments.server import NowPaymentsSandbox
from sandbox.payments.solana import programs
from sandbox.payments.solana.server import SolanaSandbox
from sandbox.payments.solana.wallet.wallet import Wallet
from sandbox.providers.dexscreener import DexScreenerSandbox
from sandbox.providers.jupiter import PriceSandbox
from sandbox.telegram.limits import FloodLimits
from sandbox.telegram.people import SandboxUser
from sandbox.telegram.server import TelegramSandbox
from sandbox.telegram.updates import JsonObject
from services.monitoring.group import MonitoringServices
from services.payments.group import PaymentServices, SolanaServices
from services.subscribers.group import SubscriberServices
from tests.wiring import AT_WILL
from web.app import create_app
from web.server import HttpServer

ADMIN: Final = 77


class Shop(Struct, kw_only=True):
    """What is paid at; a way that is not configured has none."""

    telegram: TelegramSandbox
    bot: Composition
    prices: PriceSandbox
    solana: SolanaSandbox | None = None
    merchant: Wallet | None = None
    payer: Wallet | None = None
    nowpayments: NowPaymentsSandbox | None = None

    async def person(self, name: str = "Ann") -> Buyer:
        user = self.telegram.user(name)
        await user.send("/start")
        await user.next_message()
        return Buyer(shop=self, user=user)

    @property
    def chain(self) -> SolanaSandbox:
        assert self.solana
        return self.solana

    @property
    def wallet(self) -> Wallet:
        assert self.payer
        return self.payer

    @property
    def processor(self) -> NowPaymentsSandbox:
        assert self.nowpayments
        return self.nowpayments

    async def url(self, invoice_id: str) -> str:
        """What the picture of an invoice says."""
        found = await self.bot.of(PaymentServices).invoices.find(invoice_id)
        assert found
        return self.bot.of(SolanaServices).invoicing.request(found.invoice, found.stands.missing or None).url


class Buyer(Struct, kw_only=True):
    shop: Shop
    user: SandboxUser

    async def says(self, what: str) -> JsonObject:
        """Await a message, new or edited, that says this."""
        return await self.user.next_message(where=lambda message: what in words(message))

    async def says_both(self, one: str, other: str) -> None:
        """Await two messages that come in any order."""
        first = await self.user.next_message(where=lambda message: one in words(message) or other in words(message))
        await self.says(other if one in words(first) else one)

    async def plans(self) -> JsonObject:
        await self.user.send("/plan")
        return await self.says("Your plan:")

    async def ways(self, months: str = "1 mo · $39") -> JsonObject:
        await self.user.tap("Buy Pro", await self.plans())
        await self.user.tap(months, await self.says("Pro: for how long?"))
        return await self.says("how do you want to pay?")

    async def buys(self, way: str, months: str = "1 mo · $39") -> JsonObject:
        """Choose a plan and a way on Solana; returns the invoice."""
        await self.user.tap(way, await self.ways(months))
        return await self.says("Send exactly this amount")

    async def coins(self) -> JsonObject:
        await self.user.tap("Other coins", await self.ways())
        return await self.says("which coin?")

    async def invoices(self) -> list[Invoice]:
        found = await self.shop.bot.of(PaymentServices).invoices.of(self.user.id, 20)
        return [one.invoice for one in found]

    async def has(self, plan: str) -> None:
        """Wait until the document shows what was bought."""
        subscribers = self.shop.bot.of(SubscriberServices).subscribers
        async with asyncio.timeout(10):
            while (await subscribers.require(self.user.id)).plan != plan:  # noqa: ASYNC110 - written by another job
                await asyncio.sleep(0.01)

    async def receipts(self) -> int:
        return sum("Paid:" in words(message) for message in self.user.messages)


def words(message: JsonObject) -> str:
    return message.get("text") or message.get("caption") or ""


def buttons(message: JsonObject) -> list[list[str]]:
    return [[button["text"] for button in row] for row in message.get("reply_markup", {}).get("inline_keyboard", [])]


def button(message: JsonObject, text: str) -> JsonObject:
    rows: list[list[JsonObject]] = message["reply_markup"]["inline_keyboard"]
    return next(one for row in rows for one in row if one["text"] == text)


def copied(message: JsonObject, text: str) -> str:
    return button(message, text)["copy_text"]["text"]


def invoice_id(message: JsonObject) -> str:
    return words(message).partition("invoice ")[2].split()[0]


def amount_in(url: str) -> Decimal:
    return Decimal(parse_qs(urlsplit(url).query)["amount"][0])


@asynccontextmanager
async def open_shop(
    redis_url: str,
    postgres_dsn: str,
    *,
    solana: bool = True,
    nowpayments: bool = True,
    stars: bool = True,
    can_list: bool = False,
    proxied: Callable[[str], str] = lambda url: url,
) -> AsyncGenerator[Shop]:
    """`proxied`: the address at which the bot finds Redis."""
    async with AsyncExitStack() as stack:
        telegram = await stack.enter_async_context(TelegramSandbox(limits=FloodLimits.off()))
        feed = await stack.enter_async_context(FeedSandbox(Market(seed=1), calls_per_s=0, ticks_per_s=0))
        await telegram.user("Admin", user_id=ADMIN).send("/start")
        prices = await stack.enter_async_context(PriceSandbox(requests_per_minute=10_000))
        more: dict[str, Any] = {}
        parts: dict[str, Any] = {}
        if solana:
            dexscreener = await stack.enter_async_context(DexScreenerSandbox())
            chain = await stack.enter_async_context(SolanaSandbox())
            merchant, payer = chain.wallet(sol=1), chain.wallet(sol=100, usdc=10_000)
            chain.open_token_account(merchant.address)
            more |= {"solana": chain, "merchant": merchant, "payer": payer}
            parts["solana"] = SolanaAccess(
                wallet=str(merchant.address),
                usdc_mint=str(programs.USDC),
                rpc_urls=(chain.url,),
            )
            parts["dexscreener_url"] = dexscreener.url
        if nowpayments:
            processor = await stack.enter_async_context(NowPaymentsSandbox())
            more["nowpayments"] = processor
            credentials = processor.credentials if can_list else {"ipn_secret": processor.credentials["ipn_secret"]}
            parts["nowpayments"] = NowPaymentsAccess(url=processor.url, api_key=processor.api_key, **credentials)
        at = Addresses(
            telegram_token=telegram.token,
            telegram_api_base=telegram.url,
            source="native",
            feed_url=feed.ws_url,
            feed_api_url=feed.http_url,
            feed_token=feed.token,
            price_api_url=prices.url,
            redis_url=proxied(redis_url),
            database_url=postgres_dsn,
            private_chats=AT_WILL,
            **parts,
        )
        bot = await stack.enter_async_context(running(at, stars=stars))
        yield Shop(telegram=telegram, bot=bot, prices=prices, **more)


@asynccontextmanager
async def running(at: Addresses, *, stars: bool) -> AsyncGenerator[Composition]:
    """The bot as `main.py` builds it, with its HTTP edge."""
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        connections = await connect(at, stack)
        composition = Composition(
            Settings(admin_chat_ids=frozenset({ADMIN}), pay_with_stars=stars), connections, Terminal()
        )
        health = composition.of(MonitoringServices).monitor.health_document
        app = create_app(health=health, metrics=composition.metrics.registry, routes=composition.routes)
        server = await stack.enter_async_context(HttpServer(app, "127.0.0.1", 0))
        composition.edge.listens_at(f"http://127.0.0.1:{server.port}")
        await stack.enter_async_context(connections.telegram)
        async with asyncio.TaskGroup() as group:
            group.create_task(composition.bot.run(stop, drain_s=5))
            yield composition
            stop.set()


async def page(url: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return await response.text()
