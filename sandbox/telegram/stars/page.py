"""The HTTP side for the chat page's wallet, under `/sandbox/api/users/{id}/stars` and `/sandbox/api/stars`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Literal

from aiohttp import web
from msgspec import Struct

from sandbox.telegram.page_http import json_answer, read_body, refusal, same_origin
from sandbox.telegram.stars.faults import StarFault, StarFaultChange
from sandbox.telegram.stars.invoices import Invoice

if TYPE_CHECKING:
    from sandbox.telegram.cloud import Cloud
    from sandbox.telegram.people import SandboxUser
    from sandbox.telegram.stars.wallet import Wallet


class TopUp(Struct, forbid_unknown_fields=True):
    amount: int


class InvoicePlace(Struct, kw_only=True, forbid_unknown_fields=True):
    """Where an invoice is: in a message, or behind a link (or its slug)."""

    chat_id: int = 0
    message_id: int = 0
    link: str = ""


class Payment(InvoicePlace, kw_only=True, forbid_unknown_fields=True):
    """`fault`: what this payment shall meet."""

    fault: StarFault | None = None


class SubscriptionChange(Struct, forbid_unknown_fields=True):
    change: Literal["cancel", "resume", "renew"]


class StarsApi:
    def __init__(self, cloud: Cloud, find_user: Callable[[web.Request], SandboxUser]) -> None:
        self._cloud = cloud
        self._find_user = find_user

    def routes(self, api: str) -> list[web.RouteDef]:
        stars = f"{api}/users/{{id}}/stars"
        return [
            web.get(stars, same_origin(self._view)),
            web.post(f"{stars}/top-ups", same_origin(self._top_up)),
            web.post(f"{stars}/invoice", same_origin(self._invoice)),
            web.post(f"{stars}/payments", same_origin(self._pay)),
            web.post(f"{stars}/subscriptions/{{charge_id}}", same_origin(self._change_subscription)),
            web.get(f"{api}/stars/faults", same_origin(self._show_faults)),
            web.post(f"{api}/stars/faults", same_origin(self._change_faults)),
        ]

    async def _view(self, request: web.Request) -> web.StreamResponse:
        return json_answer(self._cloud.stars.view(self._find_user(request).chat))

    async def _top_up(self, request: web.Request) -> web.StreamResponse:
        user = self._find_user(request)
        try:
            user.wallet.top_up((await read_body(request, TopUp)).amount)
        except ValueError as error:
            raise refusal(400, str(error)) from error
        return json_answer(self._cloud.stars.view(user.chat))

    async def _invoice(self, request: web.Request) -> web.StreamResponse:
        wallet = self._find_user(request).wallet
        invoice = _find_invoice(wallet, await read_body(request, InvoicePlace))
        return json_answer(
            {
                "title": invoice.title,
                "description": invoice.description,
                "amount": invoice.amount,
                "period_s": invoice.period_s,
                "balance": wallet.balance,
            }
        )

    async def _pay(self, request: web.Request) -> web.StreamResponse:
        """Answer when the payment has ended, which takes the bot's answer or ten seconds."""
        wallet = self._find_user(request).wallet
        payment = await read_body(request, Payment)
        invoice = _find_invoice(wallet, payment)
        if payment.fault is not None:
            self._cloud.stars.faults.fail_next(payment.fault)
        return json_answer(asdict(await wallet.pay(invoice)))

    async def _change_subscription(self, request: web.Request) -> web.StreamResponse:
        user = self._find_user(request)
        charge_id = request.match_info["charge_id"]
        change = (await read_body(request, SubscriptionChange)).change
        actions = {"cancel": user.wallet.cancel, "resume": user.wallet.resume, "renew": user.wallet.renew}
        try:
            actions[change](charge_id)
        except LookupError as error:
            raise refusal(404, str(error)) from error
        return json_answer(self._cloud.stars.view(user.chat))

    async def _show_faults(self, _: web.Request) -> web.StreamResponse:
        return json_answer(self._cloud.stars.faults.describe())

    async def _change_faults(self, request: web.Request) -> web.StreamResponse:
        self._cloud.stars.faults.change(await read_body(request, StarFaultChange))
        return json_answer(self._cloud.stars.faults.describe())


def _find_invoice(wallet: Wallet, place: InvoicePlace) -> Invoice:
    try:
        if place.link:
            return wallet.invoice_behind(place.link)
        return wallet.invoice_at(place.chat_id, place.message_id)
    except LookupError as error:
        raise refusal(404, str(error)) from error
