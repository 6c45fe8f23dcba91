"""A page that opens a wallet: Telegram takes no `solana:` link as a button, so a button leads here.

It says how the invoice stands, again and again. It knows nothing of the person; whoever has its address may pay.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from decimal import Decimal
from html import escape
from http import HTTPStatus
from pathlib import Path
from string import Template
from typing import Final

from fastapi import APIRouter, Response

from domain.payments.amounts import show
from domain.payments.invoices import Invoice, State
from runtime.errors import TransientError
from services.payments.invoices import InvoicesService, StandingInvoice
from services.payments.invoicing import ID_LENGTH, PaymentRequest
from texts.renderer import FALLBACK_LANGUAGE, Texts

PATH: Final = "/pay/"
REFRESH_S: Final = 5
PAYABLE: Final[tuple[State, ...]] = ("open", "underpaid")

_PAGE: Final = Template((Path(__file__).parent / "pay_page.html").read_text(encoding="utf-8"))
_STYLE: Final = (Path(__file__).parent / "pay_page.css").read_text(encoding="utf-8")
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS: Final = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:; "
    "frame-ancestors 'none'",
}
_MAX_ID: Final = 2 * ID_LENGTH


def path_of(invoice_id: str) -> str:
    return PATH + invoice_id


class PayPages:
    """`request` gives what a wallet needs to pay an invoice, or what is missing of one."""

    def __init__(
        self, *, invoices: InvoicesService, request: Callable[[Invoice, Decimal | None], PaymentRequest], texts: Texts
    ) -> None:
        self._invoices = invoices
        self._request = request
        self._texts = texts

    @property
    def router(self) -> APIRouter:
        router = APIRouter()
        router.add_api_route(PATH + "{invoice_id}", self.page, methods=["GET"])
        return router

    async def page(self, invoice_id: str) -> Response:
        try:
            found = await self._invoices.find(invoice_id) if len(invoice_id) <= _MAX_ID else None
        except TransientError:
            return self._answer(HTTPStatus.SERVICE_UNAVAILABLE, self._text("page.unavailable"), refresh=True)
        if found is None or not found.invoice.reference:
            return self._answer(HTTPStatus.NOT_FOUND, self._text("page.unknown"))
        return self._of(found)

    def _of(self, found: StandingInvoice) -> Response:
        invoice, stands = found.invoice, found.stands
        state = self._text(f"page.{stands.state}", received=show(stands.received), asset=invoice.asset)
        if stands.state not in PAYABLE or stands.needs_admin:
            return self._answer(HTTPStatus.OK, state, refresh=stands.state in ("seen", "confirming"))
        request = self._request(invoice, stands.missing or None)
        picture = base64.b64encode(request.qr_png()).decode()
        pay = f"""
<a class="pay" href="{escape(request.url)}">{self._text("page.open_wallet")}</a>
<img alt="QR" src="data:image/png;base64,{picture}">
<dl><dt>{self._text("page.amount")}</dt><dd>{escape(show(stands.missing))} {escape(invoice.asset)}</dd>
<dt>{self._text("page.address")}</dt><dd>{escape(invoice.address)}</dd>
<dt>{self._text("page.ends")}</dt><dd>{invoice.expires_at:%H:%M} UTC</dd>
<dt>{self._text("page.invoice")}</dt><dd>{escape(invoice.id)}</dd></dl>"""
        return self._answer(HTTPStatus.OK, state, pay=pay, refresh=True)

    def _text(self, key: str, **arguments: object) -> str:
        return escape(self._texts.plain(key, FALLBACK_LANGUAGE, **arguments))

    def _answer(self, status: HTTPStatus, state: str, *, pay: str = "", refresh: bool = False) -> Response:
        again = f'<meta http-equiv="refresh" content="{REFRESH_S}">' if refresh else ""
        page = _PAGE.substitute(title=self._text("page.title"), style=_STYLE, again=again, state=state, pay=pay)
        return Response(page, status_code=status, media_type="text/html", headers=_HEADERS)
