"""NOWPayments on loopback, as tests and the demo hold it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path
from secrets import token_urlsafe
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from aiohttp import web

from sandbox.payments.nowpayments.api import Api, answer
from sandbox.payments.nowpayments.desk import Desk
from sandbox.payments.nowpayments.errors import ApiError
from sandbox.payments.nowpayments.faults import DONE_ALL_THE_SAME, Fault, NowPaymentsFaults
from sandbox.payments.nowpayments.ipn import IpnSender
from sandbox.payments.nowpayments.keeping import Kept, load, save
from sandbox.payments.nowpayments.page import PayPage
from sandbox.payments.nowpayments.records import Payment
from sandbox.payments.nowpayments.tokens import Tokens

_HOST = "127.0.0.1"
_CLOUDFLARE = (
    "<!DOCTYPE html><html><head><title>{0}</title></head><body><h1>{0}</h1><p>Cloudflare Ray ID: 8f0c</p></body></html>"
)


class NowPaymentsSandbox:
    """`async with NowPaymentsSandbox() as nowpayments:` then ask `nowpayments.url`, which ends with /v1.

    Without `stage_s` payments stand still until the test lets money arrive (`desk.deposit`) and be confirmed
    (`desk.advance`, `desk.finish`). IPNs are sent only where the account has a secret and the order an address.
    With `kept_at` it remembers its payments over a restart, and takes the same port if that is free.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        ipn_secret: str | None = "sandbox-ipn-secret",  # noqa: S107 - it opens nothing
        email: str = "merchant@example.com",
        password: str = "sandbox",  # noqa: S107 - likewise
        outcome_currency: str = "usdcsol",
        stage_s: float | None = None,
        ipn_retries: int = 3,
        ipn_retry_s: float = 60.0,
        clock: Callable[[], float] = time.time,
        seed: int | None = None,
        port: int = 0,
        kept_at: Path | None = None,
    ) -> None:
        self.api_key = api_key or token_urlsafe(16)
        self.credentials = {"ipn_secret": ipn_secret or "", "email": email, "password": password}
        """What the merchant of the account holds beside the key."""
        self.faults = NowPaymentsFaults()
        self.ipns = IpnSender(ipn_secret, self.faults, retries=ipn_retries, retry_s=ipn_retry_s)
        self.desk = Desk(clock=clock, outcome_currency=outcome_currency, changed=self._changed, seed=seed)
        self.requests: Counter[str] = Counter()
        """By method and path."""
        self.url = ""
        self.page_url = ""
        tokens = Tokens(clock)
        self.pages = PayPage(self.desk)
        self._api = Api(self.desk, self.faults, tokens, api_key=self.api_key, login=(email, password))
        self._stage_s = stage_s
        self._port = port
        self._kept_at = kept_at
        self._resources = AsyncExitStack()

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[self._gateway])
        app.add_routes([*self._api.routes(), *self.pages.routes()])
        async with AsyncExitStack() as stack:
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await self._listen(runner, self._remember())
            self.page_url = self._api.page_url = f"http://{_HOST}:{runner.addresses[0][1]}"
            self.url = f"{self.page_url}/v1"
            await self.ipns.open()
            stack.push_async_callback(self.ipns.close)
            if self._stage_s is not None:
                pacer = asyncio.create_task(self._pace(self._stage_s), name="nowpayments stages")
                stack.push_async_callback(_end, pacer)
            self._resources = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._resources.aclose()

    def payment(self, payment_id: str | int) -> Payment:
        return self.desk.payment(int(payment_id))

    def pay_page(self, payment_id: str | int) -> str:
        """Give the address at which a person can pay a payment that was made by the API."""
        return f"{self.page_url}/payment/?paymentId={payment_id}"

    def pay(self, payment_id: str | int, amount: Decimal | None = None) -> Payment | None:
        """Let money arrive and be confirmed to the end."""
        payment = self.desk.deposit(self.payment(payment_id), amount)
        if payment is not None:
            self.desk.finish(payment)
        return payment

    def _remember(self) -> int:
        """Take up what was kept; return the port that it was kept under."""
        if self._kept_at is None:
            return 0
        kept = load(self._kept_at)
        self.desk.payments |= {payment.id: payment for payment in kept.payments}
        self.desk.invoices |= {invoice.id: invoice for invoice in kept.invoices}
        return kept.port

    async def _listen(self, runner: web.AppRunner, earlier_port: int) -> None:
        try:
            await web.TCPSite(runner, _HOST, self._port or earlier_port).start()
        except OSError:
            if self._port:
                raise
            await web.TCPSite(runner, _HOST, 0).start()

    def _changed(self, payment: Payment) -> None:
        self.ipns.tell(payment)
        self._keep()

    def _keep(self) -> None:
        if self._kept_at is not None and self.page_url:
            desk, port = self.desk, urlsplit(self.page_url).port or 0
            kept = Kept(port=port, payments=list(desk.payments.values()), invoices=list(desk.invoices.values()))
            save(self._kept_at, kept)

    @web.middleware
    async def _gateway(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if not request.path.startswith("/v1/"):
            return await self._answered(request, handler)
        self.requests[f"{request.method} {request.path}"] += 1
        await self.faults.delay()
        fault = self.faults.draw()
        if fault is not None and fault not in DONE_ALL_THE_SAME:
            return self._failed(request, fault)
        answered = await self._answered(request, handler)
        if request.path == "/v1/invoice":
            self._keep()
        if fault is Fault.DROP_AFTER:
            return _dropped(request)
        if fault is Fault.HALF_BODY and isinstance(answered, web.Response):
            whole = answered.text or ""
            return web.Response(text=whole[: len(whole) // 2], status=answered.status, content_type="application/json")
        return answered

    async def _answered(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            return await handler(request)
        except ApiError as error:
            return answer(error.body(), status=error.status)
        except web.HTTPException as error:
            return answer(ApiError(error.status, "NOT_FOUND", "Endpoint not found").body(), status=error.status)

    def _failed(self, request: web.Request, fault: Fault) -> web.Response:
        """Answer a request that nothing was done for."""
        refusals = {
            Fault.RATE_LIMIT: ApiError(429, "TOO_MANY_REQUESTS", "Too many requests"),
            Fault.ERROR_5XX: ApiError(500, "INTERNAL_ERROR", "Internal server error"),
            Fault.UNAUTHORIZED: ApiError(401, "INVALID_API_KEY", "Invalid api key"),
            Fault.FORBIDDEN: ApiError(403, "INVALID_API_KEY", "Invalid api key"),
        }
        if fault in refusals:
            response = answer(refusals[fault].body(), status=refusals[fault].status)
            if fault is Fault.RATE_LIMIT:
                response.headers["Retry-After"] = str(self.faults.retry_after_s)
            return response
        pages = {
            Fault.BAD_GATEWAY: (502, "api.nowpayments.io | 502: Bad gateway"),
            Fault.CHALLENGE: (403, "Just a moment..."),
            Fault.HTML_200: (200, "NOWPayments"),
        }
        if fault in pages:
            status, title = pages[fault]
            headers = {"Server": "cloudflare"}
            page = _CLOUDFLARE.format(title)
            return web.Response(text=page, status=status, content_type="text/html", headers=headers)
        return _dropped(request)

    async def _pace(self, stage_s: float) -> None:
        while True:
            await asyncio.sleep(stage_s)
            self.desk.expire_old()
            for payment in list(self.desk.payments.values()):
                self.desk.advance(payment)


def _dropped(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
