"""The whole bot before servers that say what a thief would like them to say. Its updates come by webhook."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import aiohttp
from msgspec import Struct

from bot.console import Terminal
from composition import Addresses, Composition, NowPaymentsAccess, SolanaAccess, connect
from config.settings import Settings
from domain.payments.invoices import Invoice, State
from sandbox.feed.server import FeedSandbox
from sandbox.market.market import Market
from sandbox.providers.dexscreener import DexScreenerSandbox
from sandbox.providers.jupiter import PriceSandbox
from services.monitoring.group import MonitoringServices
from services.payments.group import PaymentServices
from services.payments.invoices import StandingInvoice
from services.payments.ledger import Ledger
from tests.payments.forged.chain import USDC, Chain
from tests.payments.forged.processor import Processor
from tests.telegram.foreign_server import TOKEN, ForeignBotApi
from tests.wiring import AT_WILL
from web.app import create_app
from web.payments import NOWPAYMENTS_PATH
from web.server import HttpServer
from web.telegram_webhook import PATH as WEBHOOK_PATH

ADMIN: Final = 77
HOOK_SECRET: Final = "what-only-telegram-knows"
HOOK_HEADER: Final = "X-Telegram-Bot-Api-Secret-Token"
_PATIENCE_S: Final = 20.0


class Answer(Struct, frozen=True):
    """All that somebody learns who sends something."""

    status: int
    body: bytes
    headers: frozenset[str]


class Scene(Struct, kw_only=True):
    chain: Chain
    processor: Processor
    telegram: ForeignBotApi
    bot: Composition
    http: aiohttp.ClientSession
    edge: str
    numbers: Any
    """Of updates."""

    async def posts(self, path: str, body: bytes | dict[str, Any], headers: dict[str, str] | None = None) -> Answer:
        sent: dict[str, Any] = {"json": body} if isinstance(body, dict) else {"data": body}
        async with self.http.post(self.edge + path, headers=headers or {}, **sent) as answer:
            return Answer(answer.status, await answer.read(), frozenset(answer.headers) - {"Date"})

    async def gets(self, path: str) -> tuple[Answer, str]:
        async with self.http.get(self.edge + path) as answer:
            body = await answer.read()
            return Answer(answer.status, body, frozenset(answer.headers) - {"Date"}), body.decode()

    async def notifies(self, body: bytes, headers: dict[str, str]) -> Answer:
        return await self.posts(NOWPAYMENTS_PATH, body, headers)

    async def updates(self, secret: str | None = HOOK_SECRET, **content: object) -> Answer:
        """Bring an update as Telegram does."""
        headers = {} if secret is None else {HOOK_HEADER: secret}
        return await self.posts(WEBHOOK_PATH, {"update_id": next(self.numbers), **content}, headers)

    async def writes(self, user_id: int, text: str, **more: object) -> None:
        entities = (
            [{"type": "bot_command", "offset": 0, "length": len(text.split(maxsplit=1)[0])}] if text[0] == "/" else []
        )
        assert (await self.updates(message=message(user_id, text=text, entities=entities, **more))).status == 200

    async def taps(self, user_id: int, data: str, chat: dict[str, Any] | None = None) -> None:
        """Tap a button under a message of the bot."""
        sender = {"id": 1, "is_bot": True, "first_name": "bot"}
        under = message(user_id, text="…") | {"from": sender, "chat": chat or {"id": user_id, "type": "private"}}
        query = {"id": str(next(self.numbers)), "from": person(user_id), "message": under, "chat_instance": "1"}
        before = len(self.telegram.calls("answerCallbackQuery"))
        assert (await self.updates(callback_query=query | {"data": data})).status == 200
        await self.until(lambda: asyncio.sleep(0, len(self.telegram.calls("answerCallbackQuery")) > before))

    async def buys(self, user_id: int, data: str = "buysolana:pro:1:usdc") -> Invoice:
        """Start the bot and tap what makes an invoice; return it."""
        had = {one.invoice.id for one in await self.invoices(user_id)}
        await self.writes(user_id, "/start")
        await self.taps(user_id, data)
        [made] = [one.invoice for one in await self.invoices(user_id) if one.invoice.id not in had]
        return made

    async def invoices(self, user_id: int) -> list[StandingInvoice]:
        return list(await self.bot.of(PaymentServices).invoices.of(user_id, 20))

    async def state(self, invoice: Invoice) -> State:
        found = await self.bot.of(PaymentServices).invoices.find(invoice.id)
        assert found
        return found.stands.state

    async def days(self, user_id: int) -> int:
        """How many days somebody was given that are not the trial's."""
        given = await self.bot.of(Ledger).entitlements(user_id)
        return sum(one.days for one in given if not one.key.startswith("trial"))

    async def paid(self, invoice: Invoice) -> None:
        async def is_paid() -> bool:
            return await self.days(invoice.user_id) > 0

        await self.until(is_paid)

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(_PATIENCE_S):
            while not await condition():  # noqa: ASYNC110 - another process tells nobody
                await asyncio.sleep(0.02)

    async def read_to_the_end(self) -> None:
        """Wait until the watcher has listed everything that has landed, twice from the beginning of a round."""
        asked = len(self.chain.asked)

        async def listed() -> bool:
            rounds = [params[0] for method, params in self.chain.asked[asked:] if method == "getSignaturesForAddress"]
            return rounds.count(self.chain.wallet) >= 3

        await self.until(listed)


def person(user_id: int) -> dict[str, Any]:
    return {"id": user_id, "is_bot": False, "first_name": f"Person {user_id}", "language_code": "en"}


def message(user_id: int, **content: object) -> dict[str, Any]:
    chat = {"id": user_id, "type": "private", "first_name": f"Person {user_id}"}
    return {"message_id": 5, "date": int(time.time()), "from": person(user_id), "chat": chat, **content}


def stars(payload: str, amount: int, charge_id: str, currency: str = "XTR") -> dict[str, Any]:
    return {
        "currency": currency,
        "total_amount": amount,
        "invoice_payload": payload,
        "telegram_payment_charge_id": charge_id,
        "provider_payment_charge_id": "",
    }


@asynccontextmanager
async def scene_on(
    redis_url: str, postgres_dsn: str, *, ipn_secret: str, before: Callable[[Chain], None] = lambda _chain: None
) -> AsyncGenerator[Scene]:
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        chain = await stack.enter_async_context(Chain())
        before(chain)
        processor = await stack.enter_async_context(Processor())
        telegram = await stack.enter_async_context(ForeignBotApi())
        feed = await stack.enter_async_context(FeedSandbox(Market(seed=1), calls_per_s=0, ticks_per_s=0))
        prices = await stack.enter_async_context(PriceSandbox(requests_per_minute=10_000))
        dexscreener = await stack.enter_async_context(DexScreenerSandbox())
        at = Addresses(
            telegram_token=TOKEN,
            telegram_api_base=telegram.url,
            source="native",
            feed_url=feed.ws_url,
            feed_api_url=feed.http_url,
            feed_token=feed.token,
            price_api_url=prices.url,
            redis_url=redis_url,
            database_url=postgres_dsn,
            private_chats=AT_WILL,
            dexscreener_url=dexscreener.url,
            solana=SolanaAccess(wallet=chain.wallet, usdc_mint=USDC, rpc_urls=(chain.url,)),
            nowpayments=NowPaymentsAccess(url=processor.url, api_key="key", ipn_secret=ipn_secret),
        )
        settings = Settings(
            admin_chat_ids=frozenset({ADMIN}),
            pay_with_stars=True,
            public_url="https://bot.example",  # pyright: ignore[reportArgumentType] - validated
            telegram_webhook_secret=HOOK_SECRET,  # pyright: ignore[reportArgumentType] - validated
        )
        connections = await connect(at, stack)
        bot = Composition(settings, connections, Terminal())
        health = bot.of(MonitoringServices).monitor.health_document
        app = create_app(health=health, metrics=bot.metrics.registry, routes=bot.routes)
        server = await stack.enter_async_context(HttpServer(app, "127.0.0.1", 0))
        http = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True))
        )
        await stack.enter_async_context(connections.telegram)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(bot.bot.run(stop, drain_s=5))
            scene = Scene(
                chain=chain,
                processor=processor,
                telegram=telegram,
                bot=bot,
                http=http,
                edge=f"http://127.0.0.1:{server.port}",
                numbers=itertools.count(1),
            )

            async def is_open() -> bool:
                assert not running.done()
                return (await scene.updates(message=message(ADMIN, text="hello"))).status == 200

            await scene.until(is_open)
            yield scene
            stop.set()
