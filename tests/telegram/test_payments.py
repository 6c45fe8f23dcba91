"""Stars over the Bot API: only Telegram's own word says that somebody may pay, has paid, or was paid back."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable

import pytest

from managers.telegram.client import TelegramManager
from managers.telegram.payments import InvoiceText, TelegramPayments
from managers.telegram.rate_limiter import TelegramRateLimiter
from runtime.errors import MessageRefusedError, NotSentError, OutcomeUnknownError
from tests.telegram.foreign_answers import ANSWERS, said
from tests.telegram.foreign_server import TOKEN, ForeignBotApi, refusal
from tests.wiring import AT_WILL

TEXT = InvoiceText(title="Pro", description="For a month", label="Pro")


async def transactions(payments: TelegramPayments) -> object:
    return [one async for one in payments.get_star_transactions()]


METHODS: dict[str, Callable[[TelegramPayments], Awaitable[object]]] = {
    "sendInvoice": lambda payments: payments.send_invoice(7, TEXT, payload="INV1", stars=250),
    "createInvoiceLink": lambda payments: payments.create_invoice_link(TEXT, payload="INV1", stars=250),
    "answerPreCheckoutQuery": lambda payments: payments.answer_pre_checkout_query("q1"),
    "refundStarPayment": lambda payments: payments.refund_star_payment(7, "c1"),
    "editUserStarSubscription": lambda payments: payments.edit_user_star_subscription(7, "c1", is_cancelled=True),
    "getStarTransactions": transactions,
}


@pytest.fixture
async def server() -> AsyncGenerator[ForeignBotApi]:
    async with ForeignBotApi() as server:
        yield server


@pytest.fixture
async def payments(server: ForeignBotApi) -> AsyncGenerator[TelegramPayments]:
    limiter = TelegramRateLimiter(overall=AT_WILL, private=AT_WILL)
    async with TelegramManager(token=TOKEN, api_base=server.url, limiter=limiter).opened() as manager:
        yield TelegramPayments(manager)


@pytest.mark.parametrize("method", METHODS)
async def test_what_is_not_telegrams_decides_nothing(
    payments: TelegramPayments, server: ForeignBotApi, method: str
) -> None:
    for name, answer in ANSWERS.items():
        server.script(method, *[answer] * 3)
        with pytest.raises(OutcomeUnknownError):
            pytest.fail(f"{name} was taken for an answer to {method}: {await METHODS[method](payments)!r}")
        server.scripted[method].clear()


@pytest.mark.parametrize("method", METHODS)
async def test_a_refusal_is_one(payments: TelegramPayments, server: ForeignBotApi, method: str) -> None:
    server.script(method, refusal(400, "Bad Request: SOMETHING_INVALID"))
    with pytest.raises(MessageRefusedError):
        await METHODS[method](payments)
    assert len(server.calls(method)) == 1


async def test_an_invoice_is_in_stars(payments: TelegramPayments, server: ForeignBotApi) -> None:
    server.script("createInvoiceLink", said('{"ok":true,"result":"https://t.me/$abc"}'))
    link = await payments.create_invoice_link(TEXT, payload="INV1", stars=250, is_subscription=True)
    await payments.send_invoice(7, TEXT, payload="INV1", stars=250)
    assert link == "https://t.me/$abc"
    [(linked, sent)] = zip(server.calls("createInvoiceLink"), server.calls("sendInvoice"), strict=True)
    for asked in (linked, sent):
        assert asked["prices"] == '[{"label": "Pro", "amount": 250}]'
        assert (asked["currency"], asked["payload"], asked["title"]) == ("XTR", "INV1", "Pro")
    assert linked["subscription_period"] == "2592000"
    assert "subscription_period" not in sent


async def test_who_waits_is_answered_though_the_first_attempt_fails(
    payments: TelegramPayments, server: ForeignBotApi
) -> None:
    server.script("answerPreCheckoutQuery", ANSWERS["empty"], ANSWERS["page with 502"])
    await payments.answer_pre_checkout_query("q1", "Not now.")
    asked = server.calls("answerPreCheckoutQuery")
    assert [(one["ok"], one["error_message"]) for one in asked] == [("false", "Not now.")] * 3


async def test_an_answer_that_comes_too_late_is_no_error(payments: TelegramPayments, server: ForeignBotApi) -> None:
    old = "Bad Request: query is too old and response timeout expired or query ID is invalid"
    server.script("answerPreCheckoutQuery", refusal(400, old))
    await payments.answer_pre_checkout_query("q1")


async def test_a_payment_is_refunded_once(payments: TelegramPayments, server: ForeignBotApi) -> None:
    server.script("refundStarPayment", said('{"ok":true,"result":true}'))
    assert await payments.refund_star_payment(7, "c1")
    server.script("refundStarPayment", refusal(400, "Bad Request: CHARGE_ALREADY_REFUNDED"))
    assert not await payments.refund_star_payment(7, "c1")


async def test_without_a_server_nothing_was_sent(payments: TelegramPayments, server: ForeignBotApi) -> None:
    await server.__aexit__(None, None, None)
    for method in METHODS.values():
        with pytest.raises(NotSentError):
            await method(payments)
