"""The endpoints under /v1."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from decimal import Decimal
from math import ceil
from typing import Any

from aiohttp import web

from sandbox.payments.nowpayments import wishes
from sandbox.payments.nowpayments.coins import COINS, FIAT_USD, usd_of
from sandbox.payments.nowpayments.desk import Desk
from sandbox.payments.nowpayments.errors import ApiError, bad_request
from sandbox.payments.nowpayments.faults import NowPaymentsFaults
from sandbox.payments.nowpayments.records import Payment, as_strings
from sandbox.payments.nowpayments.signing import JsonObject, stringify
from sandbox.payments.nowpayments.tokens import Tokens

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_PAGE_MAX = 500
_MANY = 10**9
_SORTS: dict[str, Callable[[Payment], Any]] = {
    "created_at": lambda payment: (payment.created_at, payment.id),
    "payment_id": lambda payment: payment.id,
    "payment_status": lambda payment: payment.status,
    "pay_address": lambda payment: payment.pay_address,
    "price_amount": lambda payment: payment.order.price_amount,
    "price_currency": lambda payment: payment.order.price_currency,
    "pay_amount": lambda payment: payment.pay_amount,
    "actually_paid": lambda payment: payment.actually_paid,
    "pay_currency": lambda payment: payment.pay_currency,
    "order_id": lambda payment: payment.order.order_id or "",
    "purchase_id": lambda payment: payment.purchase_id,
    "outcome_amount": lambda payment: payment.outcome_amount,
}


class Api:
    def __init__(
        self, desk: Desk, faults: NowPaymentsFaults, tokens: Tokens, *, api_key: str, login: tuple[str, str]
    ) -> None:
        self._desk = desk
        self._faults = faults
        self._tokens = tokens
        self._api_key = api_key
        self._login = login
        self.page_url = ""

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/status", self._status),
            web.post("/v1/auth", self._auth),
            web.get("/v1/currencies", self._keyed(self._currencies)),
            web.get("/v1/full-currencies", self._keyed(self._full_currencies)),
            web.get("/v1/merchant/coins", self._keyed(self._merchant_coins)),
            web.get("/v1/min-amount", self._keyed(self._min_amount)),
            web.get("/v1/estimate", self._keyed(self._estimate)),
            web.post("/v1/payment", self._keyed(self._create_payment)),
            web.post("/v1/invoice", self._keyed(self._create_invoice)),
            web.post("/v1/invoice-payment", self._keyed(self._create_invoice_payment)),
            web.get("/v1/payment/", self._keyed(self._list)),
            web.get("/v1/payment/{id}", self._keyed(self._payment)),
            web.post("/v1/payment/{id}/update-merchant-estimate", self._keyed(self._update_estimate)),
        ]

    def _keyed(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            given = request.headers.get("x-api-key")
            if given is None:
                raise ApiError(401, "AUTH_REQUIRED", "Authorization header is empty (x-api-key is required)")
            if not hmac.compare_digest(given.encode(), self._api_key.encode()):
                raise ApiError(403, "INVALID_API_KEY", "Invalid api key")
            return await handler(request)

        return guarded

    async def _status(self, _request: web.Request) -> web.Response:
        return answer({"message": "OK"})

    async def _auth(self, request: web.Request) -> web.Response:
        body = wishes.read_body(await request.read(), {"email", "password"})
        given = wishes.required_text(body, "email"), wishes.required_text(body, "password")
        if given != self._login:
            raise ApiError(403, "INVALID_CREDENTIALS", "Access denied: invalid email or password")
        return answer({"token": self._tokens.issue()})

    async def _currencies(self, request: web.Request) -> web.Response:
        if request.query.get("fixed_rate", "").lower() != "true":
            return answer({"currencies": list(COINS)})
        limits = [
            {"currency": code, "min_amount": float(coin.minimum), "max_amount": float(coin.minimum * 10_000)}
            for code, coin in COINS.items()
        ]
        return answer({"currencies": limits})

    async def _full_currencies(self, _request: web.Request) -> web.Response:
        found = [
            {
                "id": number,
                "code": coin.code.upper(),
                "name": coin.name,
                "enable": True,
                "wallet_regex": coin.wallet_regex,
                "priority": number,
                "extra_id_exists": coin.extra_id,
                "extra_id_regex": "^[0-9]{1,10}$" if coin.extra_id else None,
                "logo_url": f"/images/coins/{coin.code}.svg",
                "track": True,
                "cg_id": coin.code,
                "is_maxlimit": False,
                "network": coin.network,
                "smart_contract": None,
                "network_precision": str(coin.precision),
                "is_popular": coin.code in {"btc", "eth", "sol"},
                "is_stable": coin.is_stable,
                "available_for_payment": coin.code in self._desk.coins,
                "ticker": coin.ticker,
            }
            for number, coin in enumerate(COINS.values(), start=1)
        ]
        return answer({"currencies": found})

    async def _merchant_coins(self, _request: web.Request) -> web.Response:
        return answer({"selectedCurrencies": [code.upper() for code in self._desk.coins]})

    async def _min_amount(self, request: web.Request) -> web.Response:
        source = wishes.required_text(request.query, "currency_from").lower()
        target = request.query.get("currency_to", source).lower()
        coin = COINS.get(source)
        if coin is None:
            raise bad_request(f"Currency {source} was not found")
        if usd_of(target) is None:
            raise bad_request(f"Currency {target} was not found")
        body: JsonObject = {"currency_from": source, "currency_to": target, "min_amount": float(coin.minimum)}
        fiat = request.query.get("fiat_equivalent", "").lower()
        if fiat:
            if fiat not in FIAT_USD:
                raise bad_request(f"Currency {fiat} was not found")
            body["fiat_equivalent"] = float(round(coin.minimum * coin.usd / FIAT_USD[fiat], 4))
        return answer(body)

    async def _estimate(self, request: web.Request) -> web.Response:
        amount = wishes.amount(request.query, "amount")
        source = wishes.required_text(request.query, "currency_from").lower()
        target = wishes.required_text(request.query, "currency_to").lower()
        from_usd, to_usd = usd_of(source), usd_of(target)
        for code, usd in ((source, from_usd), (target, to_usd)):
            if usd is None:
                raise bad_request(f"Currency {code} was not found")
        worth = amount * (from_usd or Decimal(1))
        coin = COINS.get(target)
        estimated = coin.amount_of(worth) if coin else round(worth / (to_usd or Decimal(1)), 2)
        return answer(
            {
                "currency_from": source,
                "amount_from": float(amount),
                "currency_to": target,
                "estimated_amount": float(estimated),
            }
        )

    async def _create_payment(self, request: web.Request) -> web.Response:
        body = wishes.read_body(await request.read(), wishes.PAYMENT_NAMES)
        order = wishes.order(body)
        pay_currency = wishes.required_text(body, "pay_currency").lower()
        pay_amount = wishes.amount(body, "pay_amount") if body.get("pay_amount") is not None else None
        payment = self._desk.create_payment(order, pay_currency, pay_amount=pay_amount)
        return answer(payment.created(), status=201)

    async def _create_invoice(self, request: web.Request) -> web.Response:
        body = wishes.read_body(await request.read(), wishes.INVOICE_NAMES)
        order = wishes.order(body)
        wanted = body.get("pay_currency")
        pay_currency = None if wanted is None else wishes.required_text(body, "pay_currency").lower()
        if usd_of(order.price_currency) is None:
            raise bad_request(f"Currency {order.price_currency} was not found")
        return answer(self._desk.create_invoice(order, pay_currency, self.page_url).body(), status=201)

    async def _create_invoice_payment(self, request: web.Request) -> web.Response:
        body = wishes.read_body(await request.read(), wishes.INVOICE_PAYMENT_NAMES)
        if "iid" not in body:
            raise bad_request("iid is required")
        invoice = self._desk.invoice(wishes.identity(body["iid"], "iid"))
        pay_currency = wishes.required_text(body, "pay_currency").lower()
        return answer(self._desk.create_payment(invoice.order, pay_currency, invoice).created(), status=201)

    async def _payment(self, request: web.Request) -> web.Response:
        payment = self._desk.payment(wishes.identity(request.match_info["id"], "paymentId"))
        stale = self._faults.reads_stale()
        body = payment.earlier if stale and payment.earlier is not None else payment.found()
        return answer(as_strings(body) if self._faults.numbers_as_text else body)

    async def _update_estimate(self, request: web.Request) -> web.Response:
        payment = self._desk.payment(wishes.identity(request.match_info["id"], "paymentId"))
        found = payment.created()
        return answer(
            {
                "id": str(payment.id),
                "token_id": str(payment.id + 1),
                "pay_amount": float(payment.pay_amount),
                "expiration_estimate_date": found["expiration_estimate_date"],
            }
        )

    async def _list(self, request: web.Request) -> web.Response:
        self._tokens.check(request.headers.get("Authorization", ""))
        query = request.query
        limit = wishes.whole(query.get("limit", "10"), "limit", least=1, most=_PAGE_MAX)
        page = wishes.whole(query.get("page", "0"), "page", least=0, most=_MANY)
        sort, direction = query.get("sortBy", "created_at"), query.get("orderBy", "asc")
        if sort not in _SORTS or direction not in {"asc", "desc"}:
            raise bad_request("sortBy or orderBy is not valid")
        self._desk.expire_old()
        found = [payment for payment in self._desk.payments.values() if self._wanted(payment, request)]
        found.sort(key=_SORTS[sort], reverse=direction == "desc")
        body = {
            "data": [payment.found() for payment in found[page * limit : (page + 1) * limit]],
            "limit": limit,
            "page": page,
            "pagesCount": ceil(len(found) / limit),
            "total": len(found),
        }
        return answer(body)

    def _wanted(self, payment: Payment, request: web.Request) -> bool:
        invoice = request.query.get("invoiceId")
        if invoice is not None and payment.invoice_id != wishes.identity(invoice, "invoiceId"):
            return False
        day = payment.found()["created_at"]
        since, until = request.query.get("dateFrom", ""), request.query.get("dateTo", "9999")
        return since <= day and (day <= until or day.startswith(until))


def answer(body: JsonObject, *, status: int = 200) -> web.Response:
    """Write JSON as a server in JavaScript does."""
    return web.Response(text=stringify(body), status=status, content_type="application/json")
