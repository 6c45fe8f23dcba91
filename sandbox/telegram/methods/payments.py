"""Invoices and Telegram Stars.

Where the server of the Bot API refuses, it does so in its own words. Behind it Telegram has one word for nearly
everything: STARS_INVOICE_INVALID.
"""

from __future__ import annotations

from typing import Any

import msgspec

from sandbox.telegram.cloud import Chat, Cloud
from sandbox.telegram.errors import ApiError, bad_request
from sandbox.telegram.markup.entities import clean
from sandbox.telegram.methods.params import Params
from sandbox.telegram.methods.registry import method
from sandbox.telegram.methods.sending import SendParams, open_chat
from sandbox.telegram.stars.invoices import CURRENCY, PERIOD_S, Invoice

JsonObject = dict[str, Any]

TITLE_MAX = 32
DESCRIPTION_MAX = 255
PAYLOAD_MAX_BYTES = 128
PRICE_MAX = 25_000
SUBSCRIPTION_PRICE_MAX = 10_000
TRANSACTIONS_MAX = 100
_CURRENCY_AMOUNT_MAX = 9_999_999_999_999


class LabeledPrice(msgspec.Struct):
    label: str
    amount: int


class InvoiceParams(SendParams):
    title: str = ""
    description: str = ""
    payload: str = ""
    provider_token: str = ""
    currency: str = ""
    prices: str = ""
    start_parameter: str = ""
    max_tip_amount: int = 0
    suggested_tip_amounts: str = ""
    need_name: bool = False
    need_phone_number: bool = False
    need_email: bool = False
    need_shipping_address: bool = False
    send_phone_number_to_provider: bool = False
    send_email_to_provider: bool = False
    is_flexible: bool = False
    subscription_period: int = 0


@method("sendInvoice", InvoiceParams, is_send=True)
def send_invoice(cloud: Cloud, params: InvoiceParams) -> JsonObject:
    prices = _prices(params)
    chat, outline = open_chat(cloud, params, for_invoice=True)
    invoice = _invoice(params, prices)
    if invoice.period_s:
        raise bad_request("STARS_INVOICE_INVALID")  # subscriptions are sold by link only
    cloud.charge(chat, "sendInvoice")
    message = cloud.post(chat, cloud.bot, {**outline, **invoice.content()}, silent=params.disable_notification)
    cloud.stars.invoices.sent(invoice, message)
    return message


@method("createInvoiceLink", InvoiceParams)
def create_invoice_link(cloud: Cloud, params: InvoiceParams) -> str:
    return cloud.stars.invoices.link(_invoice(params, _prices(params)))


def _prices(params: InvoiceParams) -> list[LabeledPrice]:
    for name in ("title", "description", "payload", "currency", "prices"):
        if not getattr(params, name):
            raise _required(name)
    try:
        given = msgspec.json.decode(params.prices)
    except msgspec.DecodeError as error:
        raise bad_request("can't parse prices JSON object") from error
    if not isinstance(given, list):
        raise bad_request("expected an Array of labeled prices")
    try:
        prices = msgspec.convert(given, list[LabeledPrice])
    except msgspec.ValidationError as error:
        raise _misshapen_price(str(error)) from error
    if any(not price.label for price in prices):
        raise bad_request("can't parse labeled price: LabeledPrice label must be non-empty")
    if not prices:
        raise bad_request("there must be at least one price")
    return prices


def _misshapen_price(why: str) -> ApiError:
    """Return Telegram's words; `why` is msgspec's, which names the place."""
    place = why.rpartition("`$")[2].rstrip("`")
    if "missing required field" in why:
        what = f'Can\'t find field "{why.split("`")[1]}"'
    elif place.endswith("]"):
        what = "LabeledPrice must be an Object"
    else:
        kind = "String" if place.endswith(".label") else "Number"
        what = f'Field "{place.rpartition(".")[2]}" must be of type {kind}'
    return bad_request(f"can't parse labeled price: {what}")


def _invoice(params: InvoiceParams, prices: list[LabeledPrice]) -> Invoice:
    """Check what Telegram checks of an invoice in Stars, in its order: its library first, then its servers."""
    total = sum(price.amount for price in prices)
    if any(abs(price.amount) > _CURRENCY_AMOUNT_MAX for price in prices):
        raise bad_request("too big amount of the currency specified")
    if total <= 0:
        raise bad_request("total price must be positive")
    if params.currency != CURRENCY:
        raise bad_request("PAYMENT_PROVIDER_INVALID")  # the sandbox knows no provider of cards
    title, description = clean(params.title), clean(params.description)
    if (
        len(prices) != 1
        or len(title) > TITLE_MAX
        or len(description) > DESCRIPTION_MAX
        or params.subscription_period not in {0, PERIOD_S}
        or _wants_a_provider(params)
    ):
        raise bad_request("STARS_INVOICE_INVALID")
    if len(params.payload.encode("utf-8", "surrogatepass")) > PAYLOAD_MAX_BYTES:
        raise bad_request("INVOICE_PAYLOAD_INVALID")
    if total > (SUBSCRIPTION_PRICE_MAX if params.subscription_period else PRICE_MAX):
        raise bad_request("CURRENCY_TOTAL_AMOUNT_INVALID")
    return Invoice(
        title=title,
        description=description,
        payload=params.payload,
        amount=total,
        start_parameter=params.start_parameter,
        period_s=params.subscription_period,
    )


def _wants_a_provider(params: InvoiceParams) -> bool:
    """Whether something is asked for that only a payment provider could give: an address, a tip."""
    return bool(
        params.provider_token
        or params.max_tip_amount
        or params.suggested_tip_amounts not in {"", "[]"}
        or params.need_name
        or params.need_phone_number
        or params.need_email
        or params.need_shipping_address
        or params.send_phone_number_to_provider
        or params.send_email_to_provider
        or params.is_flexible
    )


class AnswerPreCheckoutQuery(Params):
    pre_checkout_query_id: str = ""
    ok: bool = False
    error_message: str = ""


@method("answerPreCheckoutQuery", AnswerPreCheckoutQuery, is_send=True)
def answer_pre_checkout_query(cloud: Cloud, params: AnswerPreCheckoutQuery) -> bool:
    if not params.ok and not params.error_message:
        raise _required("error_message")
    cloud.stars.answer(params.pre_checkout_query_id, "" if params.ok else params.error_message)
    return True


class ChargeParams(Params):
    user_id: int = 0
    telegram_payment_charge_id: str = ""


@method("refundStarPayment", ChargeParams, is_send=True)
def refund_star_payment(cloud: Cloud, params: ChargeParams) -> bool:
    _check_user_id(params)
    if not params.telegram_payment_charge_id:
        raise _required("telegram_payment_charge_id")
    cloud.stars.refund(_payer(cloud, params), params.telegram_payment_charge_id)
    return True


class EditUserStarSubscription(ChargeParams):
    is_canceled: bool = False


@method("editUserStarSubscription", EditUserStarSubscription)
def edit_user_star_subscription(cloud: Cloud, params: EditUserStarSubscription) -> bool:
    _check_user_id(params)
    payer = _payer(cloud, params)
    cloud.stars.edit_subscription(payer.id, params.telegram_payment_charge_id, is_canceled=params.is_canceled)
    return True


class GetStarTransactions(Params):
    offset: int = 0
    limit: int = TRANSACTIONS_MAX


@method("getStarTransactions", GetStarTransactions)
def get_star_transactions(cloud: Cloud, params: GetStarTransactions) -> JsonObject:
    offset = max(params.offset, 0)
    limit = min(max(params.limit, 1), TRANSACTIONS_MAX)
    return {"transactions": cloud.stars.ledger.transactions[offset : offset + limit]}


@method("getMyStarBalance", Params)
def get_my_star_balance(cloud: Cloud, _: Params) -> JsonObject:
    return {"amount": cloud.stars.ledger.bot_balance}


def _check_user_id(params: ChargeParams) -> None:
    if params.user_id <= 0:
        raise bad_request("invalid user_id specified")


def _payer(cloud: Cloud, params: ChargeParams) -> Chat:
    payer = cloud.chats.get(params.user_id)
    if payer is None or payer.person is None:
        raise bad_request("user not found")
    return payer


def _required(name: str) -> ApiError:
    return bad_request(f'parameter "{name}" is required')
