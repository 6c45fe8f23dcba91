"""The processor is started again: what it has given out still leads to it."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from sandbox.payments.nowpayments.records import Payment, Status
from sandbox.payments.nowpayments.server import NowPaymentsSandbox
from tests.sandbox.payments.nowpayments_kit import Client

ORDER = {"price_amount": 39, "price_currency": "usd", "order_id": "A1", "order_description": "Pro"}


async def ordered(processor: NowPaymentsSandbox, session: aiohttp.ClientSession) -> tuple[Payment, str]:
    """A payment that waits for money, and the page of an invoice whose coin nobody has chosen."""
    client = Client(processor, session)
    _, made = await client.post("/payment", **ORDER, pay_currency="xrp")
    _, invoice = await client.post("/invoice", **ORDER)
    return processor.payment(made["payment_id"]), invoice["invoice_url"]


async def test_an_address_that_was_given_out_is_paid_after_a_restart(session: aiohttp.ClientSession, tmp_path: Path):
    kept_at = tmp_path / "kept.json"
    async with NowPaymentsSandbox(kept_at=kept_at) as first:
        asked, page = await ordered(first, session)
        port = first.page_url
    async with NowPaymentsSandbox(kept_at=kept_at) as second:
        assert second.page_url == port
        payment = second.payment(asked.id)
        assert payment == asked
        second.desk.deposit(payment)
        [invoice] = second.desk.invoices.values()
        assert invoice.url == page
    async with NowPaymentsSandbox(kept_at=kept_at) as third:
        payment = third.payment(asked.id)
        assert (payment.status, payment.actually_paid) == (Status.CONFIRMING, asked.pay_amount)
        third.desk.finish(payment)
        _, told = await Client(third, session).get(f"/payment/{asked.id}")
        assert told["payment_status"] == "finished"


async def test_another_port_is_taken_when_the_earlier_one_is_not_free(session: aiohttp.ClientSession, tmp_path: Path):
    kept_at = tmp_path / "kept.json"
    async with NowPaymentsSandbox(kept_at=kept_at) as first:
        asked, _ = await ordered(first, session)
        async with NowPaymentsSandbox(kept_at=kept_at) as second:
            assert second.page_url != first.page_url
            assert second.payment(asked.id) == asked


@pytest.mark.parametrize("text", ["", "{", '{"payments": 7}', '{"port": "x"}'])
async def test_what_cannot_be_read_is_as_good_as_nothing(tmp_path: Path, text: str):
    kept_at = tmp_path / "kept.json"
    kept_at.write_text(text)
    async with NowPaymentsSandbox(kept_at=kept_at) as processor:
        assert not processor.desk.payments
