"""The pay page: a person chooses a coin, and sends it or does what people do wrong."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from aiohttp import web

from sandbox.payments.nowpayments import wishes
from sandbox.payments.nowpayments.api import answer
from sandbox.payments.nowpayments.coins import COINS
from sandbox.payments.nowpayments.desk import Desk
from sandbox.payments.nowpayments.errors import bad_request
from sandbox.payments.nowpayments.records import Order, Payment, Status
from sandbox.payments.nowpayments.signing import JsonObject

_PAGE = Path(__file__).with_name("page.html")
_WRONG_MEMO = "0"


class PayPage:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._acts: dict[str, Callable[[Payment], object]] = {
            "full": desk.deposit,
            "part": lambda payment: desk.deposit(payment, payment.pay_amount / 2),
            "more": lambda payment: desk.deposit(payment, payment.pay_amount * 2),
            "other": self._send_another_coin,
            "forgotten": lambda payment: desk.deposit(payment, extra_id=_WRONG_MEMO),
            "expire": lambda payment: desk.set_status(payment, Status.EXPIRED),
            "fail": lambda payment: desk.set_status(payment, Status.FAILED),
            "refund": lambda payment: desk.set_status(payment, Status.REFUNDED),
            "complete": lambda payment: desk.set_status(payment, Status.FINISHED),
        }

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/payment/", self._page),
            web.get("/page/state", self._state),
            web.post("/page/choose", self._choose),
            web.post("/page/act", self._act),
        ]

    def act(self, payment: Payment, act: str) -> None:
        """Do with a payment what one of the page's buttons says."""
        if act not in self._acts:
            raise bad_request("there is no such act")
        self._acts[act](payment)

    async def _page(self, _request: web.Request) -> web.Response:
        return web.Response(text=_PAGE.read_text(encoding="utf-8"), content_type="text/html")

    async def _state(self, request: web.Request) -> web.Response:
        if "paymentId" in request.query:
            payment = self._payment(request)
            return answer(self._shown(payment.order) | {"payment": payment.found(), "back": _way_back(payment)})
        invoice = self._desk.invoice(wishes.identity(request.query.get("iid", ""), "iid"))
        coins = [
            {"code": code, "name": COINS[code].name}
            for code in self._desk.coins
            if invoice.pay_currency in {None, code}
        ]
        return answer(self._shown(invoice.order) | {"coins": coins, "payment": None})

    async def _choose(self, request: web.Request) -> web.Response:
        invoice = self._desk.invoice(wishes.identity(request.query.get("iid", ""), "iid"))
        coin = request.query.get("coin", "")
        if invoice.pay_currency not in {None, coin}:
            raise bad_request("the invoice is for another coin")
        return answer(self._desk.create_payment(invoice.order, coin, invoice).created())

    async def _act(self, request: web.Request) -> web.Response:
        payment = self._payment(request)
        self.act(payment, request.query.get("act", ""))
        return answer(payment.found())

    def _payment(self, request: web.Request) -> Payment:
        return self._desk.payment(wishes.identity(request.query.get("paymentId", ""), "paymentId"))

    def _send_another_coin(self, payment: Payment) -> Payment | None:
        other = next(code for code in COINS if code != payment.pay_currency)
        price = COINS[payment.pay_currency].usd * payment.pay_amount
        return self._desk.deposit(payment, COINS[other].amount_of(Decimal(price)), coin=other)

    def _shown(self, order: Order) -> JsonObject:
        return {
            "price_amount": float(order.price_amount),
            "price_currency": order.price_currency,
            "order_description": order.order_description,
        }


def _way_back(payment: Payment) -> str | None:
    """Where the page leads when there is nothing more to do."""
    order = payment.order
    links = {
        Status.FINISHED: order.success_url,
        Status.PARTIALLY_PAID: order.partially_paid_url,
        Status.EXPIRED: order.cancel_url,
        Status.FAILED: order.cancel_url,
    }
    return links.get(payment.status)
