"""Everything outside the bot that takes money, people who pay there, and the bot that has to notice."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import aiohttp
from solders.account import Account
from solders.keypair import Keypair

from domain.payments.invoices import Invoice
from domain.subscribers.subscriber import Subscriber
from managers.http.api import APIRetryManager
from managers.payments.nowpayments import NowPaymentsManager
from managers.redis.client import RedisManager
from managers.storage.postgres import PostgresManager
from runtime.clock import now
from sandbox.payments.nowpayments.server import NowPaymentsSandbox
from sandbox.payments.solana import programs
from sandbox.payments.solana.server import SolanaSandbox
from sandbox.providers.dexscreener import DexScreenerSandbox
from sandbox.providers.jupiter import PriceSandbox
from services.payments.invoicing import ID_LENGTH, LETTERS, Invoicing, receiver_of
from services.payments.ledger import Ledger
from services.payments.notices import PaymentNotices
from services.payments.nowpayments_orders import NowPaymentsOrders, Order
from services.payments.rates import Rates
from services.stores.journal import Journal
from tests.faults.payments.books import Books, PaymentCounts
from tests.faults.payments.crowd import EVERYBODY, Mix, Payer, crowd
from tests.faults.payments.paying import Paying
from tests.faults.process import Bot
from tests.faults.proxy import FaultProxy
from tests.faults.stage import STARTS_WITHIN_S, Stage
from tests.payments.solana_kit import Price
from web.payments import NOWPAYMENTS_PATH

COIN: Final = "usdttrc20"
SOL_USD: Final = 165.0
_STAGE_S: Final = 0.5
"""How long each step of a payment at the processor takes."""
_RETRY_S: Final = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ShopSize:
    people: int
    over_s: float
    """They pay within so many seconds."""
    slot_s: float
    patience_s: float


SHORT: Final = ShopSize(people=20, over_s=4.0, slot_s=0.1, patience_s=90.0)
FULL: Final = ShopSize(people=80, over_s=12.0, slot_s=0.2, patience_s=90.0)
_AT_THE_PROCESSOR: Final = 16
"""More at once than its limit of requests bears would only wait for each other."""


class Shop:
    """`async with Shop(stage) as shop:` has chain, processor and prices up, two RPC servers, and everybody enrolled."""

    def __init__(self, stage: Stage, mix: Mix = EVERYBODY) -> None:
        self.stage = stage
        self.size = FULL if stage.size.full else SHORT
        self.solana = SolanaSandbox(slot_s=self.size.slot_s)
        self.nowpayments = NowPaymentsSandbox(stage_s=_STAGE_S, ipn_retries=500, ipn_retry_s=_RETRY_S, seed=1)
        self.prices = PriceSandbox(sol_usd=SOL_USD, requests_per_minute=1_000)
        self.dexscreener = DexScreenerSandbox(sol_usd=SOL_USD)
        self.ipns = FaultProxy("http://127.0.0.1:9")
        """The address that the processor tells: it stays, whichever bot is behind it."""
        is_limited = all(way == "nowpayments" for way, _ in mix)
        self.people = crowd(mix, _AT_THE_PROCESSOR if is_limited else self.size.people, seed=len(mix))
        self.books = Books(stage, self.people)
        self.merchant = Keypair().pubkey()
        self.paying_them = Paying(self)
        self._resources = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for part in (self.solana, self.nowpayments, self.prices, self.dexscreener, self.ipns):
                await stack.enter_async_context(part)
            await self.solana.add_node()
            self.solana.cluster.write(self.merchant, Account(programs.LAMPORTS_PER_SOL, b"", programs.SYSTEM))
            self.solana.open_token_account(self.merchant)
            await self.stage.enrol([_subscriber(one) for one in self.people])
            self._resources = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._resources.aclose()

    # the bot

    @asynccontextmanager
    async def bot(self, **more: str) -> AsyncGenerator[Bot]:
        async with self.stage.bot(**self.settings(), **more) as bot:
            await self.leads_to(bot)
            yield bot

    async def leads_to(self, bot: Bot) -> None:
        """Let notifications go to this one."""
        self.ipns.lead_to((await bot.says(r"Health: (http://\S+)/healthz", timeout_s=STARTS_WITHIN_S))[1])
        self.ipns.cut()

    def settings(self) -> dict[str, str]:
        return {
            "PAY_WITH_STARS": "true",
            "PAY_WITH_CRYPTO": "true",
            "SOLANA_WALLET": str(self.merchant),
            "SOLANA_RPC_URLS": ",".join(node.url for node in self.solana.nodes),
            "SOLANA_USDC_MINT": str(programs.USDC),
            "PRICE_API_URL": self.prices.url,
            "DEXSCREENER_URL": self.dexscreener.url,
            "NOWPAYMENTS_API_URL": self.nowpayments.url,
            "NOWPAYMENTS_API_KEY": self.nowpayments.api_key,
            "NOWPAYMENTS_IPN_SECRET": self.nowpayments.credentials["ipn_secret"],
        }

    # selling and paying

    @asynccontextmanager
    async def paying(self, *, over_s: float | None = None) -> AsyncGenerator[None]:
        """Let everybody pay while the block runs; enters when the first receipts have come, waits for the last payer.

        A bot has to be up.
        """
        await self.sell()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.paying_them.all(over_s=over_s or self.size.over_s))
            yield

    async def sell(self) -> None:
        """Make everybody's invoice, and wait until PostgreSQL has them; those in Stars are made when they are paid."""
        to_sell = [one for one in self.people if one.way != "stars" and one.invoice is None]
        async with self._counter() as counter:
            for one in to_sell:
                one.invoice = await counter.invoice(one)

    async def invoices_stored(self) -> None:
        """Wait until PostgreSQL has every invoice that was made here."""
        made = sum(one.invoice is not None for one in self.people)
        async with asyncio.timeout(60), self.stage.database() as connection:
            while await connection.fetchval("SELECT to_regclass('invoices')") is None:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.1)
            while await connection.fetchval("SELECT count(*) FROM invoices") < made:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.1)

    async def finish(self, *bots: Bot) -> PaymentCounts:
        """Wait for what is missing, let the bots drain and end, and count."""
        if not (await self.books.complete(patience_s=self.size.patience_s)).is_complete:
            print(await self.books.missing())  # noqa: T201 - what the counts do not say
        for bot in bots:
            await self.stage.end(bot)
        return await self.books.counts()

    @asynccontextmanager
    async def _counter(self) -> AsyncGenerator[_Counter]:
        async with RedisManager(self.stage.redis.url) as redis, aiohttp.ClientSession() as session:
            api = APIRetryManager(session)
            postgres = PostgresManager(self.stage.postgres.dsn)
            ledger = Ledger(
                redis, Journal(redis, postgres), messages=PaymentNotices(clock=now), clock=now, needs_epoch=True
            )
            rates = Rates(one=Price(str(SOL_USD)), other=Price(str(SOL_USD)), clock=now)
            receiver = receiver_of(str(self.merchant), str(programs.USDC))
            manager = NowPaymentsManager(api, api_key=self.nowpayments.api_key, base_url=self.nowpayments.url)
            ipn_url = f"http://{self.ipns.authority}{NOWPAYMENTS_PATH}"
            yield _Counter(
                invoicing=Invoicing(ledger=ledger, rates=rates, receiver=receiver, label="Shop", clock=now),
                orders=NowPaymentsOrders(manager, ledger, redis, clock=now, ipn_url=lambda: ipn_url),
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Counter:
    """Where invoices are made: by the bot's own services, in a process beside it."""

    invoicing: Invoicing
    orders: NowPaymentsOrders

    async def invoice(self, payer: Payer) -> Invoice:
        offer = payer.offer
        if payer.way in {"sol", "usdc"}:
            coin = "sol" if payer.way == "sol" else "usdc"
            return (await self.invoicing.make(payer.user_id, offer, coin)).invoice
        order = Order(
            id="".join(secrets.choice(LETTERS) for _ in range(ID_LENGTH)),
            user_id=payer.user_id,
            plan=offer.plan,
            days=offer.days,
            price_usd=offer.price_usd,
            description=offer.plan,
        )
        return await self.orders.invoice(order, COIN)


def _subscriber(payer: Payer) -> Subscriber:
    """Somebody who has what everybody has, so that whatever they have later was paid for."""
    return Subscriber(
        user_id=payer.user_id, chat_id=payer.user_id, name=f"payer {payer.user_id}", created_at=now(), plan="free"
    )
