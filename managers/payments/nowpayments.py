"""NOWPayments, a processor that takes many coins (https://documenter.getpostman.com/view/7907941/2s93JusNJt).

Its numbers come as numbers or as text and its ids likewise, depending on the endpoint: here they are decimals and text.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from managers.http.answers import RefusedError, Shape
from managers.http.api import APIRetryManager
from managers.http.json_repair import decoded
from managers.http.request_budget import Limit
from runtime.errors import BotError

T = TypeVar("T")

TIMEOUT_S: Final = 8.0
REQUESTS: Final = Limit(60, 60.0)
"""What one bot needs; the processor names no figure."""
MAX_PAGE: Final = 500
_ABSURD: Final = Decimal(10) ** 24
_LAST_MS: Final = 10**14
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class AmountTooSmallError(BotError):
    """The processor takes no payment this small in this coin."""


class Coin(Struct, frozen=True):
    code: str
    """In lower case, as requests spell it: `usdttrc20`."""
    name: str = ""
    network: str = ""
    ticker: str = ""
    """What it is called on every network: `usdt`."""


class Payment(Struct, frozen=True, kw_only=True):
    """What the processor says of one payment. Only what it says when it is asked counts."""

    payment_id: str | int
    payment_status: str
    pay_currency: str
    price_amount: Decimal
    price_currency: str
    pay_amount: Decimal | None = None
    actually_paid: Decimal | None = None
    pay_address: str | None = None
    payin_extra_id: str | int | None = None
    """Memo or tag without which the address does not find the payment."""
    order_id: str | int | None = None
    """What we called it."""
    invoice_id: str | int | None = None
    """The hosted page that it was made on."""
    parent_payment_id: str | int | None = None
    """Set for a further deposit to the address of that payment."""
    payment_extra_ids: list[str | int] | None = None
    """Further deposits to this one's address."""
    valid_until: datetime | None = None
    updated_at: datetime | int | None = None

    def __post_init__(self) -> None:
        for figure in (self.price_amount, self.pay_amount, self.actually_paid):
            if figure is not None and not (figure.is_finite() and 0 <= figure < _ABSURD):
                raise ValueError(f"{figure} is no amount")

    @property
    def id(self) -> str:
        return str(self.payment_id)

    @property
    def parent_id(self) -> str | None:
        return _text(self.parent_payment_id)

    @property
    def page_id(self) -> str | None:
        return _text(self.invoice_id)

    @property
    def further_ids(self) -> list[str]:
        return [str(one) for one in self.payment_extra_ids or ()]

    @property
    def changed_at(self) -> datetime | None:
        return _moment(self.updated_at)

    @property
    def expires_at(self) -> datetime | None:
        return _moment(self.valid_until)

    @property
    def paid(self) -> Decimal:
        """What came, in its coin."""
        return self.actually_paid or Decimal(0)


class HostedPage(Struct, frozen=True):
    """A page on which whoever pays chooses the coin."""

    id: str | int
    invoice_url: str


class Told(Struct, frozen=True):
    """What a notification (IPN) says: which payment to look at, and how it stood. Nothing else of it counts."""

    payment_id: str | int
    payment_status: str
    updated_at: datetime | int | None = None

    @property
    def id(self) -> str:
        return str(self.payment_id)

    @property
    def changed_at(self) -> datetime | None:
        return _moment(self.updated_at)


class _Page(Struct):
    data: list[msgspec.Raw]


class _Selected(Struct, rename="camel"):
    selected_currencies: list[str]


class _Currencies(Struct):
    currencies: list[msgspec.Raw]


class _Currency(Struct):
    code: str
    name: str | None = None
    network: str | None = None
    ticker: str | None = None


class _MinAmount(Struct):
    min_amount: Decimal


class _Estimate(Struct):
    estimated_amount: Decimal


class _Token(Struct):
    token: str


def _decoder(type_: type[T]) -> msgspec.json.Decoder[T]:
    return msgspec.json.Decoder(type_)


_EXACT: Final = msgspec.json.Encoder(decimal_format="number")
_PAYMENT: Final = _decoder(Payment)
_TOLD: Final = _decoder(Told)
_CURRENCY: Final = _decoder(_Currency)
_PAGE: Final = _decoder(_Page)
_SELECTED: Final = _decoder(_Selected)
_CURRENCIES: Final = _decoder(_Currencies)
_MIN_AMOUNT: Final = _decoder(_MinAmount)
_TOKEN: Final = _decoder(_Token)
_PAGE_MADE: Final = _decoder(HostedPage)
_ESTIMATE: Final = _decoder(_Estimate)


class NowPaymentsManager:
    """Every method raises `TransientError`; `RefusedError`, one of them, where the processor says no."""

    def __init__(
        self,
        api: APIRetryManager,
        *,
        api_key: str,
        base_url: str = "https://api.nowpayments.io/v1",
        email: str = "",
        password: str = "",
    ) -> None:
        """`email` and `password`: of the merchant's account, needed only to list payments."""
        self._api = api
        self._url = base_url.rstrip("/")
        self._headers = {"x-api-key": api_key}
        self._login = {"email": email, "password": password}
        self.can_list = bool(email and password)
        """Whether payments can be listed: pages, and the reconciliation with the processor, need it."""
        api.limit(self._url, REQUESTS)

    async def coins(self) -> list[Coin]:
        """Return the coins that the merchant has switched on, in the merchant's order."""
        selected = await self._get("/merchant/coins", _SELECTED)
        listed = (await self._get("/full-currencies", _CURRENCIES)).currencies
        known = {coin.code: coin for coin in map(_coin, listed) if coin}
        codes = dict.fromkeys(code.lower() for code in selected.selected_currencies)
        return [known.get(code, Coin(code)) for code in codes]

    async def min_amount(self, coin: str) -> Decimal:
        """Return the least that can be paid in a coin."""
        params = {"currency_from": coin, "currency_to": coin}
        return (await self._get("/min-amount", _MIN_AMOUNT, params)).min_amount

    async def estimate(self, price_usd: Decimal, coin: str) -> Decimal:
        """Return how much of a coin a price is now."""
        params = {"amount": f"{price_usd:f}", "currency_from": "usd", "currency_to": coin}
        return (await self._get("/estimate", _ESTIMATE, params)).estimated_amount

    async def create(
        self, *, price_usd: Decimal, coin: str, order_id: str, description: str, ipn_url: str | None
    ) -> Payment:
        """Ask for an address and an amount. Raises `AmountTooSmallError`.

        Asked again for the same order, it gives another payment: nothing ties them together.
        """
        document = _order(price_usd, order_id, description, ipn_url) | {"pay_currency": coin}
        return await self._post("/payment", document, _PAYMENT)

    async def create_page(
        self, *, price_usd: Decimal, order_id: str, description: str, ipn_url: str | None, back_url: str | None
    ) -> HostedPage:
        """Ask for a page of the processor, on which the coin is chosen. Asked again, it gives another one."""
        document = _order(price_usd, order_id, description, ipn_url)
        back = {"success_url": back_url, "cancel_url": back_url} if back_url else {}
        return await self._post("/invoice", document | back, _PAGE_MADE)

    async def payment(self, payment_id: str) -> Payment | None:
        """Return what stands; `None`: the processor does not know it."""
        body = await self._get_body(f"/payment/{payment_id}", _PAYMENT)
        return None if body is None else decoded(_PAYMENT, body)

    async def payments(self, *, since: datetime, page_id: str | None = None) -> AsyncGenerator[Payment | None]:
        """Read the list of payments, the oldest first, page by page. `None`: one that is unreadable.

        `page_id`: only those made on that hosted page. Only where it `can_list`.
        """
        params = {
            "limit": str(MAX_PAGE),
            "sortBy": "created_at",
            "orderBy": "asc",
            "dateFrom": since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        }
        if page_id:
            params["invoiceId"] = page_id
        page, is_last = 0, False
        while not is_last:
            token = (await self._post("/auth", self._login, _TOKEN)).token  # it lives for minutes only
            headers = {"Authorization": f"Bearer {token}"}
            found = await self._get("/payment/", _PAGE, params | {"page": str(page)}, headers)
            for one in found.data:
                yield _readable(one)
            page, is_last = page + 1, len(found.data) < MAX_PAGE

    async def _get(
        self,
        path: str,
        decoder: msgspec.json.Decoder[T],
        params: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> T:
        body = await self._get_body(path, decoder, params, headers)
        if body is None:
            raise RefusedError(f"HTTP 404 from NOWPayments for {path}")
        return decoded(decoder, body)

    async def _get_body(
        self,
        path: str,
        shape: Shape,
        params: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> bytes | None:
        every = self._headers | (headers or {})
        return await self._api.get(self._url + path, params=params, headers=every, timeout_s=TIMEOUT_S, shape=shape)

    async def _post(self, path: str, document: dict[str, Any], decoder: msgspec.json.Decoder[T]) -> T:
        body = _EXACT.encode(document)
        try:
            answer = await self._api.post(
                self._url + path, body=body, headers=self._headers, timeout_s=TIMEOUT_S, shape=decoder
            )
        except RefusedError as error:
            said = error.said.lower()
            if b"amount_minimal_error" in said or b"minimal" in said or b"too small" in said:
                raise AmountTooSmallError(str(error)) from error
            raise
        return decoded(decoder, answer)


def _order(price_usd: Decimal, order_id: str, description: str, ipn_url: str | None) -> dict[str, Any]:
    document: dict[str, Any] = {
        "price_amount": price_usd,
        "price_currency": "usd",
        "order_id": order_id,
        "order_description": description,
    }
    return document | ({"ipn_callback_url": ipn_url} if ipn_url else {})


def _readable(entry: msgspec.Raw) -> Payment | None:
    try:
        return decoded(_PAYMENT, bytes(entry))
    except (ValueError, RecursionError):
        return None


def _coin(entry: msgspec.Raw) -> Coin | None:
    try:
        read = decoded(_CURRENCY, bytes(entry))
    except (ValueError, RecursionError):
        return None
    return Coin(read.code.lower(), read.name or "", read.network or "", read.ticker or "")


def told(body: bytes) -> Told | None:
    """Read a notification whose signature was proved; `None`: it names no payment."""
    try:
        said = decoded(_TOLD, body)
    except (ValueError, RecursionError):
        return None
    return said if said.id.isascii() and said.id.isdecimal() else None


def _text(value: str | int | None) -> str | None:
    return None if value is None else str(value)


def _moment(value: datetime | int | None) -> datetime | None:
    """Read a time that comes in milliseconds or as text."""
    if isinstance(value, int):
        return EPOCH + timedelta(milliseconds=value) if 0 <= value < _LAST_MS else None
    return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)
