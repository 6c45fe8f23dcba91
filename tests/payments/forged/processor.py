"""NOWPayments as its documentation shows it: the part of its API that a bot asks, and notifications with its key."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import re
from typing import Any, Final, Self

from aiohttp import web

SECRET: Final = "what-only-the-processor-knows"
HEADER: Final = "x-nowpayments-sig"


class Processor:
    def __init__(self) -> None:
        self.payments: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.url = ""
        self._ids = itertools.count(5_077_125_051)
        app = web.Application()
        app.add_routes(
            [
                web.get("/v1/merchant/coins", self._coins),
                web.get("/v1/full-currencies", self._currencies),
                web.get("/v1/min-amount", self._min_amount),
                web.get("/v1/estimate", self._estimate),
                web.post("/v1/payment", self._create),
                web.get("/v1/payment/{id}", self._payment),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._runner.cleanup()

    def notification(self, payment_id: str, /, **changes: object) -> dict[str, Any]:
        """What it tells of a payment: ids as numbers, the time in milliseconds, what it took nested."""
        one = self.payments[payment_id]
        return {
            **{name: value for name, value in one.items() if name not in {"created_at", "valid_until"}},
            "payment_id": int(payment_id),
            "actually_paid_at_fiat": 0,
            "fee": {"currency": "btc", "depositFee": 0.0000123, "withdrawalFee": 1e-7, "serviceFee": 0},
            "payment_extra_ids": None,
            "outcome_amount": 0.00083,
            "outcome_currency": "btc",
            "updated_at": 1_774_390_831_880,
            **changes,
        }

    async def _coins(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        return web.json_response({"selectedCurrencies": ["USDTTRC20", "BTC"]})

    async def _currencies(self, _request: web.Request) -> web.Response:
        listed = [
            {"code": code, "name": name, "network": network, "wallet_regex": "", "extra_id_exists": False}
            for code, name, network in (("USDTTRC20", "Tether", "trx"), ("BTC", "Bitcoin", "btc"))
        ]
        return web.json_response({"currencies": listed})

    async def _min_amount(self, request: web.Request) -> web.Response:
        coin = request.query["currency_from"]
        return web.json_response({"currency_from": coin, "currency_to": coin, "min_amount": 0.01})

    async def _estimate(self, request: web.Request) -> web.Response:
        return web.json_response({"estimated_amount": request.query["amount"]})

    async def _create(self, request: web.Request) -> web.Response:
        asked, payment_id = await request.json(), str(next(self._ids))
        self.payments[payment_id] = {
            "payment_id": payment_id,
            "parent_payment_id": None,
            "invoice_id": None,
            "payment_status": "waiting",
            "pay_address": "TNDFkiSmBQorNFacb3735q8MnT29sn8BLn",
            "payin_extra_id": None,
            "price_amount": asked["price_amount"],
            "price_currency": "usd",
            "pay_amount": asked["price_amount"],
            "actually_paid": 0,
            "pay_currency": asked["pay_currency"],
            "order_id": asked["order_id"],
            "order_description": asked["order_description"],
            "purchase_id": "6105448077",
        }
        return web.json_response(self.payments[payment_id], status=201)

    async def _payment(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        found = self.payments.get(request.match_info["id"])
        if found is None:
            return web.json_response({"statusCode": 404, "code": "NOT_FOUND", "message": "no payment"}, status=404)
        return web.json_response(found)


def written(document: dict[str, Any]) -> bytes:
    return _stringified(document).encode()


def signed(document: dict[str, Any], secret: str = SECRET, algorithm: Any = hashlib.sha512) -> str:
    """Sign what `JSON.stringify` makes of the document, its keys sorted at every depth."""
    return hmac.new(secret.encode(), _stringified(document, sort_keys=True).encode(), algorithm).hexdigest()


def _stringified(document: dict[str, Any], *, sort_keys: bool = False) -> str:
    """Write numbers as JavaScript does: none with a zero behind the point, small ones its way."""
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False, sort_keys=sort_keys)
    text = re.sub(r"(?<=:)(\d+)\.0(?=[,}])", r"\1", text)
    return text.replace("1.23e-05", "0.0000123").replace("1e-07", "1e-7")


def signed_without_nested(document: dict[str, Any], secret: str = SECRET) -> str:
    """Sign as those do who pass the sorted keys of the body as a replacer, which drops what is nested."""
    kept: dict[str, Any] = {name: {} if isinstance(value, dict) else value for name, value in document.items()}
    return signed(kept, secret)
