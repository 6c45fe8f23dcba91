"""Notifications of NOWPayments (IPNs): proved by their signature over the raw body, then looked at by the API.

Whoever cannot prove who they are gets one and the same answer, whatever was wrong with what they sent; without a secret
that is everybody. What the API does not confirm at once is sent away with a 503, and comes again.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import structlog
from fastapi import APIRouter, Request, Response

from domain.payments.ipn import MAX_BODY_BYTES, is_signed
from managers.payments.nowpayments import Told, told
from runtime.errors import TransientError
from runtime.fault_points import fault_point
from web.body import read_body

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

NOWPAYMENTS_PATH = "/payments/nowpayments"

_SIGNATURE_HEADER = "x-nowpayments-sig"
_LOGGED_EACH_S = 10.0


class NowPaymentsNotifications:
    """`notified` looks at the payment and returns when nothing of it can be lost; it may raise `TransientError`."""

    def __init__(self, *, secret: str, notified: Callable[[Told], Awaitable[None]]) -> None:
        self._secret = secret
        self._notified = notified
        self._logged_at = -_LOGGED_EACH_S
        self.refused = 0
        """Requests that nobody signed, since the start."""
        self.postponed = 0
        """Notifications that were sent away and come again, since the start."""

    @property
    def router(self) -> APIRouter:
        """The way in, for `create_app`."""
        router = APIRouter()
        router.add_api_route(NOWPAYMENTS_PATH, self.receive, methods=["POST"])
        return router

    async def receive(self, request: Request) -> Response:
        body = await read_body(request, MAX_BODY_BYTES)
        signature = request.headers.get(_SIGNATURE_HEADER, "")
        said = told(body) if body and is_signed(body, signature, self._secret) else None
        if said is None:
            self.refused += 1
            self._log_refusal()
            return Response(status_code=HTTPStatus.UNAUTHORIZED)
        fault_point("notification received")
        try:
            await self._notified(said)
        except TransientError as error:
            self.postponed += 1
            log.warning("ipn_postponed", payment=said.id, status=said.payment_status, reason=str(error))
            return Response(status_code=HTTPStatus.SERVICE_UNAVAILABLE)
        return Response()

    def _log_refusal(self) -> None:
        """Log that, not every one of many: anybody can send some."""
        now = time.monotonic()
        if now - self._logged_at >= _LOGGED_EACH_S:
            self._logged_at = now
            log.warning("ipn_refused", so_far=self.refused)
