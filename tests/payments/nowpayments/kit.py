"""What takes payments in the bot, before the sandbox of NOWPayments and on a real Redis."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import aiohttp
from prometheus_client import CollectorRegistry

from domain.payments.invoices import Assessment, Invoice, State, assess
from managers.http.api import APIRetryManager
from managers.payments.nowpayments import NowPaymentsManager
from sandbox.payments.nowpayments.records import Payment
from sandbox.payments.nowpayments.server import NowPaymentsSandbox
from services.payments.ledger import Ledger
from services.payments.nowpayments import NowPaymentsService
from services.payments.nowpayments_orders import NowPaymentsOrders, Order
from services.payments.nowpayments_watch import NowPaymentsWatch
from tests.payments.ledger_kit import Clock, Stores
from web.app import create_app
from web.payments import NOWPAYMENTS_PATH, NowPaymentsNotifications
from web.server import HttpServer

ANN: Final = 7
COIN: Final = "usdttrc20"
SECRET: Final = "sandbox-ipn-secret"


@dataclass
class House:
    nowpayments: NowPaymentsSandbox
    clock: Clock
    stores: Stores
    ledger: Ledger
    orders: NowPaymentsOrders
    service: NowPaymentsService
    watch: NowPaymentsWatch
    notifications: NowPaymentsNotifications
    ipn_url: str

    async def invoice(self, order_id: str = "order-1", coin: str = COIN, user_id: int = ANN) -> Invoice:
        return await self.orders.invoice(order(order_id, user_id), coin)

    def payment(self, invoice: Invoice) -> Payment:
        return self.nowpayments.payment(invoice.payment_id)

    async def state(self, invoice: Invoice) -> State:
        """Return what the ledger says of an invoice."""
        return (await self.assessment(invoice)).state

    async def assessment(self, invoice: Invoice) -> Assessment:
        file = await self.ledger.find(invoice.id)
        assert file is not None
        return assess(
            file.invoice, file.arrivals, self.clock(), credited=file.is_credited, taken_back=file.is_taken_back
        )

    async def told(self) -> list[State]:
        """Return the states that people were told, in their order where they are one person's."""
        return [one.notice.state for one in await self.stores.told()]

    async def days(self, user_id: int = ANN) -> int:
        """Return how many days somebody was given in all."""
        return sum(one.days for one in await self.ledger.entitlements(user_id))

    async def poll(self) -> None:
        """Let time pass until every open payment was asked about."""
        self.clock.pass_(minutes=31)
        await self.watch.step()
        for _ in range(self.watch.count):
            await self.watch.step()


def order(order_id: str = "order-1", user_id: int = ANN) -> Order:
    return Order(
        id=order_id, user_id=user_id, plan="pro", days=30, price_usd=Decimal("29.90"), description="Pro, 30 days"
    )


@asynccontextmanager
async def house_on(
    nowpayments: NowPaymentsSandbox,
    stores: Stores,
    *,
    secret: str = SECRET,
    has_ipn: bool = True,
    can_list: bool = True,
) -> AsyncGenerator[House]:
    ledger, redis, clock = stores.ledger, stores.redis, stores.clock
    async with aiohttp.ClientSession() as session:
        login = {"email": "merchant@example.com", "password": "sandbox"} if can_list else {}
        manager = NowPaymentsManager(
            APIRetryManager(session, clock=clock.timestamp),
            api_key=nowpayments.api_key,
            base_url=nowpayments.url,
            **login,
        )
        service = NowPaymentsService(manager, ledger, redis, stores.postgres, clock=clock)
        notifications = NowPaymentsNotifications(secret=secret, notified=service.notified)
        app = create_app(health=_well, metrics=CollectorRegistry(), routes=[notifications.router])
        async with HttpServer(app, "127.0.0.1", 0) as server:
            ipn_url = f"http://127.0.0.1:{server.port}{NOWPAYMENTS_PATH}"
            yield House(
                nowpayments=nowpayments,
                clock=clock,
                stores=stores,
                ledger=ledger,
                orders=NowPaymentsOrders(
                    manager, ledger, redis, clock=clock, ipn_url=lambda: ipn_url if has_ipn else None
                ),
                service=service,
                watch=NowPaymentsWatch(service, ledger, clock=clock, gap_s=0.0),
                notifications=notifications,
                ipn_url=ipn_url,
            )


async def _well() -> dict[str, object]:
    return {"ok": True}
