"""Instant payment notifications: signed, sent again until the merchant answers 2xx, and forged on demand."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from sandbox.payments.nowpayments.faults import NowPaymentsFaults
from sandbox.payments.nowpayments.records import Payment, Status
from sandbox.payments.nowpayments.signing import (
    JsonObject,
    is_object,
    sign_text,
    signature,
    stringify,
    top_level_keys_only,
)

HEADER = "x-nowpayments-sig"
_AMOUNTS = ("price_amount", "pay_amount", "actually_paid", "outcome_amount")
_ANSWER_TIMEOUT_S = 10.0
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class Forgery(StrEnum):
    UNSIGNED = "unsigned"
    EMPTY = "empty"
    """The header is there and holds nothing."""
    WRONG_SECRET = "wrong_secret"  # noqa: S105 - the name of a forgery
    EMPTY_SECRET = "empty_secret"  # noqa: S105 - likewise
    SHA256 = "sha256"
    UNSORTED = "unsorted"
    """Signed as the body stands; the same as the right one where the body is sorted."""
    TOP_LEVEL_KEYS = "top_level_keys"
    """By the formula that leaves nested values out of the signature."""
    ALTERED = "altered"
    """Rightly signed, then an amount was changed."""
    ALTERED_NESTED = "altered_nested"
    """Rightly signed, then a value within `fee` was changed."""
    OTHER_BODY = "other_body"
    """The signature of another body."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ipn:
    url: str
    body: bytes
    headers: dict[str, str]
    payment_id: int
    status: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    ipn: Ipn
    attempt: int
    answered: int | None
    """The HTTP status; None when there was no answer."""


class IpnSender:
    """`retries` times more, `retry_s` apart, while the merchant answers anything but 2xx."""

    def __init__(
        self, secret: str | None, faults: NowPaymentsFaults, *, retries: int = 3, retry_s: float = 60.0
    ) -> None:
        self.secret = secret
        """None: the account has none, and no IPN is sent."""
        self.retries = retries
        self.retry_s = retry_s
        self.held: list[Ipn] = []
        self.deliveries: list[Delivery] = []
        """Every attempt, oldest first."""
        self._faults = faults
        self._lanes: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        """What a payment's IPNs pass one by one, so that they arrive in order unless a fault wants otherwise."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_ANSWER_TIMEOUT_S))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def tell(self, payment: Payment) -> None:
        """Tell the merchant how a payment stands."""
        url = payment.order.ipn_callback_url
        if url is None or self.secret is None or self._faults.loses_ipns:
            return
        ipn = self.write(payment, url)
        for _ in range(self._faults.copies_of_ipns):
            if self._faults.holds_ipns:
                self.held.append(ipn)
            else:
                self.send(ipn)

    def write(self, payment: Payment, url: str) -> Ipn:
        body = payment.notification()
        if self._faults.paid_is_told_later and payment.status is Status.FINISHED:
            body["actually_paid"] = 0
        if self._faults.sorted_bodies:
            body = {
                name: dict(sorted(value.items())) if is_object(value) else value for name, value in sorted(body.items())
            }
        text = stringify(body)
        if self._faults.bodies_with_zeros:
            text = _with_zeros(body)
        headers = {HEADER: signature(body, self.secret or "")}
        return self._ipn(payment, url, text, headers)

    def forge(self, payment: Payment, forgery: Forgery, *, url: str, changes: JsonObject | None = None) -> Ipn:
        """Write an IPN that no honest merchant may believe, e.g. with `changes={"payment_status": "finished"}`."""
        secret = self.secret or ""
        body = payment.notification() | (changes or {})
        text = stringify(body)
        signed: dict[Forgery, Callable[[], str]] = {
            Forgery.EMPTY: lambda: "",
            Forgery.WRONG_SECRET: lambda: signature(body, f"{secret}-of-another"),
            Forgery.EMPTY_SECRET: lambda: signature(body, ""),
            Forgery.SHA256: lambda: signature(body, secret, digest="sha256"),
            Forgery.UNSORTED: lambda: sign_text(text, secret),
            Forgery.TOP_LEVEL_KEYS: lambda: sign_text(stringify(top_level_keys_only(body)), secret),
            Forgery.OTHER_BODY: lambda: signature(payment.notification() | {"payment_id": 1}, secret),
        }
        headers = {HEADER: signed.get(forgery, lambda: signature(body, secret))()}
        if forgery is Forgery.UNSIGNED:
            headers = {}
        if forgery is Forgery.ALTERED:
            text = stringify(body | {"actually_paid": body["actually_paid"] + 1_000})
        if forgery is Forgery.ALTERED_NESTED:
            text = stringify(body | {"fee": body["fee"] | {"serviceFee": 0.5}})
        return self._ipn(payment, url, text, headers)

    def send(self, ipn: Ipn) -> None:
        """Begin to deliver it."""
        task = asyncio.create_task(self._deliver(ipn), name=f"ipn {ipn.payment_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def release(self, order: Callable[[list[Ipn]], list[Ipn]] = list) -> None:
        """Send what was held, in the order that `order` gives it: `reversed` is a fair choice."""
        held, self.held = self.held, []
        for ipn in order(held):
            self.send(ipn)

    async def settled(self) -> None:
        """Wait until nothing is under way."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def post(self, ipn: Ipn) -> int | None:
        """Make one attempt; return the status that the merchant answered. Nobody off this machine is told anything."""
        if urlsplit(ipn.url).hostname not in _LOOPBACK_NAMES:
            return None
        if self._session is None:
            raise RuntimeError("the sandbox is not open")
        headers = {"Content-Type": "application/json"} | ipn.headers
        try:
            async with self._session.post(ipn.url, data=ipn.body, headers=headers) as answer:
                await answer.read()
                return answer.status
        except (aiohttp.ClientError, TimeoutError):
            return None

    async def _deliver(self, ipn: Ipn) -> None:
        for attempt in range(1, self.retries + 2):
            async with self._lanes[ipn.payment_id]:
                answered = await self.post(ipn)
            self.deliveries.append(Delivery(ipn=ipn, attempt=attempt, answered=answered))
            if answered is not None and answered // 100 == 2:  # noqa: PLR2004 - 2xx
                return
            await asyncio.sleep(self.retry_s)

    def _ipn(self, payment: Payment, url: str, text: str, headers: dict[str, str]) -> Ipn:
        return Ipn(url=url, body=text.encode(), headers=headers, payment_id=payment.id, status=payment.status)


def _with_zeros(body: JsonObject) -> str:
    """Spell whole amounts as 10.0; JavaScript reads the same number."""

    def spelled(name: str, value: Any) -> str:
        return f"{value:.1f}" if name in _AMOUNTS and float(value).is_integer() else stringify(value)

    return "{" + ",".join(f"{stringify(name)}:{spelled(name, value)}" for name, value in body.items()) + "}"
