"""The API as a merchant uses it, and how strictly it answers."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from sandbox.payments.nowpayments.coins import COINS
from sandbox.payments.nowpayments.faults import Fault
from sandbox.payments.nowpayments.server import NowPaymentsSandbox
from tests.sandbox.payments.nowpayments_kit import Client

ORDER: dict[str, Any] = {"price_amount": 33, "price_currency": "usd", "order_id": "order-7"}


async def test_what_can_be_paid_with(merchant_api: Client, nowpayments: NowPaymentsSandbox):
    assert await merchant_api.get("/status") == (200, {"message": "OK"})
    assert "usdcsol" in (await merchant_api.get("/currencies"))[1]["currencies"]
    limits = (await merchant_api.get("/currencies", fixed_rate="true"))[1]["currencies"]
    assert set(limits[0]) == {"currency", "min_amount", "max_amount"}
    nowpayments.desk.coins = ["sol", "btc"]
    assert (await merchant_api.get("/merchant/coins"))[1] == {"selectedCurrencies": ["SOL", "BTC"]}
    coins = {each["code"]: each for each in (await merchant_api.get("/full-currencies"))[1]["currencies"]}
    assert [coins[code]["available_for_payment"] for code in ("SOL", "ETH")] == [True, False]
    assert coins["XRP"]["extra_id_exists"]
    status, refused = await merchant_api.post("/payment", **ORDER, pay_currency="eth")
    assert (status, refused["code"]) == (400, "BAD_REQUEST")


async def test_estimates_and_minima(merchant_api: Client):
    asked = {"amount": "33", "currency_from": "usd", "currency_to": "sol"}
    assert (await merchant_api.get("/estimate", **asked))[1] == {
        "currency_from": "usd",
        "amount_from": 33,
        "currency_to": "sol",
        "estimated_amount": Decimal("0.2"),
    }
    asked = {"currency_from": "btc", "currency_to": "usdcsol", "fiat_equivalent": "usd"}
    _, least = await merchant_api.get("/min-amount", **asked)
    assert least["min_amount"] == Decimal("0.00007143")
    assert least["fiat_equivalent"] == pytest.approx(Decimal(7), abs=Decimal("0.01"))
    status, refused = await merchant_api.post("/payment", price_amount=1, price_currency="usd", pay_currency="btc")
    assert (status, refused["code"]) == (400, "AMOUNT_MINIMAL_ERROR")
    assert "minimal" in refused["message"]


async def test_a_payment_from_its_creation(merchant_api: Client):
    status, made = await merchant_api.post("/payment", **ORDER, pay_currency="sol")
    assert status == 201
    assert made["payment_id"] == str(int(made["payment_id"]))
    assert (made["payment_status"], made["pay_amount"], made["price_amount"]) == ("waiting", Decimal("0.2"), 33)
    assert (made["order_id"], made["network"], made["payin_extra_id"]) == ("order-7", "sol", None)
    _, found = await merchant_api.get(f"/payment/{made['payment_id']}")
    assert found["payment_id"] == int(made["payment_id"])
    assert found["pay_address"] == made["pay_address"]
    assert (found["actually_paid"], found["parent_payment_id"], found["payin_hash"]) == (0, None, None)
    assert found["created_at"] == made["created_at"]
    assert found["created_at"].endswith("Z")
    _, other = await merchant_api.post("/payment", **ORDER, pay_currency="sol")
    assert (other["payment_id"], other["pay_address"]) != (made["payment_id"], made["pay_address"])  # no idempotency
    _, dearer = await merchant_api.post("/payment", **ORDER, pay_currency="sol", pay_amount=0.5)
    assert dearer["pay_amount"] == Decimal("0.5")
    _, tagged = await merchant_api.post("/payment", **ORDER, pay_currency="xrp")
    assert tagged["payin_extra_id"].isdecimal()


async def test_an_invoice_becomes_a_payment_in_the_chat(merchant_api: Client, nowpayments: NowPaymentsSandbox):
    status, invoice = await merchant_api.post("/invoice", **ORDER, success_url="https://t.me/bot")
    assert (status, invoice["price_amount"], invoice["pay_currency"]) == (201, "33", None)
    assert invoice["invoice_url"] == f"{nowpayments.page_url}/payment/?iid={invoice['id']}"
    status, made = await merchant_api.post("/invoice-payment", iid=invoice["id"], pay_currency="usdcsol")
    assert (status, made["order_id"], made["pay_amount"]) == (201, "order-7", 33)
    assert (await merchant_api.get(f"/payment/{made['payment_id']}"))[1]["invoice_id"] == int(invoice["id"])
    assert (await merchant_api.post("/invoice-payment", iid=1, pay_currency="sol"))[0] == 404
    assert (await merchant_api.post("/invoice-payment", pay_currency="sol"))[0] == 400
    status, estimate = await merchant_api.post(f"/payment/{made['payment_id']}/update-merchant-estimate")
    assert (status, estimate["pay_amount"]) == (200, 33)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"price_amount": None}, "price_amount is required"),
        ({"price_amount": "many"}, "price_amount must be a number"),
        ({"price_amount": True}, "price_amount must be a number"),
        ({"price_amount": -5}, "greater than 0"),
        ({"price_amount": 0}, "greater than 0"),
        ({"price_currency": None}, "price_currency is required"),
        ({"price_currency": "xxx"}, "was not found"),
        ({"pay_currency": None}, "pay_currency is required"),
        ({"pay_currency": "doge"}, "was not found"),
        ({"order_id": {"a": 1}}, "order_id must be a string"),
        ({"is_fixed_rate": "yes"}, "must be a boolean"),
        ({"ipn_callback_url": "solana:abc"}, "must be a valid uri"),
        ({"order_description": "x" * 501}, "at most 500 characters"),
        ({"surprise": 1}, '"surprise" is not allowed'),
    ],
)
async def test_wrong_orders_are_refused(merchant_api: Client, changes: dict[str, Any], words: str):
    body = {name: value for name, value in (ORDER | {"pay_currency": "sol"} | changes).items() if value is not None}
    status, refused = await merchant_api.post("/payment", **body)
    assert (status, refused["statusCode"], refused["status"]) == (400, 400, False)
    assert words in refused["message"]


async def test_strangers_are_kept_out(merchant_api: Client, nowpayments: NowPaymentsSandbox):
    for key, status, code in ((None, 401, "AUTH_REQUIRED"), ("wrong", 403, "INVALID_API_KEY")):
        merchant_api.key = key
        answered, body = await merchant_api.post("/payment", **ORDER, pay_currency="sol")
        assert (answered, body["code"]) == (status, code)
    assert (await merchant_api.get("/status"))[0] == 200
    assert nowpayments.desk.payments == {}


async def test_lists_want_a_token_that_grows_old(session: aiohttp.ClientSession):
    now = [1_795_000_000.0]
    async with NowPaymentsSandbox(clock=lambda: now[0]) as nowpayments:
        client = Client(nowpayments, session)
        assert (await client.get("/payment/"))[0] == 401
        assert (await client.post("/auth", email="merchant@example.com", password="wrong"))[0] == 403
        _, token = await client.post("/auth", email="merchant@example.com", password="sandbox")
        client.bearer = f"Bearer {token['token']}"
        for number in range(5):
            now[0] += 10
            await client.post("/payment", **ORDER | {"order_id": str(number)}, pay_currency="sol")
        _, listed = await client.get("/payment/", limit=2, page=1, sortBy="created_at", orderBy="desc")
        assert [each["order_id"] for each in listed["data"]] == ["2", "1"]
        assert (listed["total"], listed["pagesCount"], listed["page"], listed["limit"]) == (5, 3, 1, 2)
        _, none = await client.get("/payment/", invoiceId=7)
        assert none["data"] == []
        assert (await client.get("/payment/", limit=501))[0] == 400
        client.bearer += "x"
        assert (await client.get("/payment/"))[0] == 403
        client.bearer = client.bearer[:-1]
        now[0] += 300
        assert (await client.get("/payment/"))[1]["code"] == "TOKEN_EXPIRED"


async def test_unpaid_payments_expire(session: aiohttp.ClientSession):
    now = [1_795_000_000.0]
    async with NowPaymentsSandbox(clock=lambda: now[0]) as nowpayments:
        client = Client(nowpayments, session)
        made = [
            (await client.post("/payment", **ORDER, pay_currency="sol", is_fixed_rate=fixed))[1]["payment_id"]
            for fixed in (True, False)
        ]

        async def statuses() -> list[str]:
            return [(await client.get(f"/payment/{each}"))[1]["payment_status"] for each in made]

        now[0] += 20 * 60
        assert await statuses() == ["expired", "waiting"]
        now[0] += 7 * 24 * 3_600
        assert await statuses() == ["expired", "expired"]


@pytest.mark.parametrize(
    ("fault", "status", "content_type"),
    [
        (Fault.RATE_LIMIT, 429, "application/json"),
        (Fault.ERROR_5XX, 500, "application/json"),
        (Fault.UNAUTHORIZED, 401, "application/json"),
        (Fault.FORBIDDEN, 403, "application/json"),
        (Fault.BAD_GATEWAY, 502, "text/html"),
        (Fault.CHALLENGE, 403, "text/html"),
        (Fault.HTML_200, 200, "text/html"),
    ],
)
async def test_faults_do_nothing_but_answer(
    nowpayments: NowPaymentsSandbox,
    session: aiohttp.ClientSession,
    fault: Fault,
    status: int,
    content_type: str,
):
    nowpayments.faults.fail_next(fault)
    headers = {"x-api-key": nowpayments.api_key}
    body = ORDER | {"pay_currency": "sol"}
    async with session.post(f"{nowpayments.url}/payment", json=body, headers=headers) as response:
        assert (response.status, response.content_type) == (status, content_type)
        assert ("Retry-After" in response.headers) is (status == 429)
    assert nowpayments.desk.payments == {}
    async with session.post(f"{nowpayments.url}/payment", json=body, headers=headers) as response:
        assert response.status == 201


async def test_a_lost_answer_leaves_a_payment_behind(nowpayments: NowPaymentsSandbox, merchant_api: Client):
    nowpayments.faults.fail_next(Fault.DROP)
    with pytest.raises(aiohttp.ClientError):
        await merchant_api.post("/payment", **ORDER, pay_currency="sol")
    assert len(nowpayments.desk.payments) == 0
    nowpayments.faults.fail_next(Fault.DROP_AFTER)
    with pytest.raises(aiohttp.ClientError):
        await merchant_api.post("/payment", **ORDER, pay_currency="sol")
    nowpayments.faults.fail_next(Fault.HALF_BODY)
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        await merchant_api.post("/payment", **ORDER, pay_currency="sol")
    assert len(nowpayments.desk.payments) == 2


async def test_reads_may_be_stale_or_spelled_as_text(nowpayments: NowPaymentsSandbox, merchant_api: Client):
    _, made = await merchant_api.post("/payment", **ORDER, pay_currency="sol")
    path = f"/payment/{made['payment_id']}"
    nowpayments.pay(made["payment_id"])
    nowpayments.faults.stale_reads = 1
    assert [(await merchant_api.get(path))[1]["payment_status"] for _ in range(2)] == ["sending", "finished"]
    nowpayments.faults.numbers_as_text = True
    _, found = await merchant_api.get(path)
    assert (found["payment_id"], found["pay_amount"]) == (made["payment_id"], "0.2")


async def test_unknown_payments_and_places(merchant_api: Client):
    assert (await merchant_api.get("/payment/77"))[0] == 404
    assert (await merchant_api.get("/payment/abc"))[0] == 400
    assert (await merchant_api.get("/nonsense"))[0] == 404


@pytest.mark.parametrize("code", sorted(COINS))
async def test_each_coin_has_addresses_of_its_form(nowpayments: NowPaymentsSandbox, merchant_api: Client, code: str):
    _, made = await merchant_api.post("/payment", **ORDER, pay_currency=code)
    assert re.search(COINS[code].wallet_regex, made["pay_address"])
    assert Decimal(made["pay_amount"]) >= COINS[code].minimum
