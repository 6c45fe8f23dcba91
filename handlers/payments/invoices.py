"""What somebody was asked for: the list, one of them, and whether it has been paid."""

from __future__ import annotations

from typing import Final

from domain.delivery.messages import Button
from domain.payments.amounts import show_paid
from domain.payments.invoices import Invoice
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.menus import View, in_rows, message, view_of
from handlers.conversation.routing import callback, command
from handlers.payments.buttons import CheckInvoice, ShowInvoice, ShowInvoices
from handlers.payments.buying import hand_over
from handlers.payments.showing import show_invoice
from handlers.payments.ways import told_as
from managers.payments.nowpayments import Coin
from runtime.errors import TransientError
from services.payments.checks import Checked, InvoiceChecks
from services.payments.group import NowPaymentsServices, PaymentServices, SolanaServices
from services.payments.invoices import StandingInvoice
from services.payments.keys import LOOKED
from services.payments.notices import settled_as
from texts.markup import Html

LISTED: Final = 10
"""Invoices in the list, the latest first."""


class InvoicesMixin(BotBase):
    @command("invoices", help="help.invoices", goes_on=True)
    async def invoices(self, turn: Turn) -> None:
        await self._show_invoices(turn)

    @callback(ShowInvoices, goes_on=True)
    async def show_invoices(self, turn: Turn, _data: ShowInvoices) -> None:
        await self._show_invoices(turn)

    @callback(ShowInvoice, goes_on=True)
    async def show_invoice(self, turn: Turn, data: ShowInvoice) -> None:
        found = await self.services.of(PaymentServices).invoices.own(turn.user_id, data.id)
        if found.invoice.method == "stars" and found.stands.state == "open":
            await hand_over(self, turn, found.invoice)
            return
        await show_invoice(self, turn, found, anew=True, coin=await self._coin(found.invoice))

    @callback(CheckInvoice, goes_on=True, aside=True)
    async def check_invoice(self, turn: Turn, data: CheckInvoice) -> str | None:
        view = view_of(self.services, turn)
        with told_as("invoice.cannot_check"):
            found = await self.services.of(PaymentServices).invoices.own(turn.user_id, data.id)
            checks = self._checks(found.invoice)
            checked = await checks.check(turn.user_id, data.id) if checks else Checked(standing=found)
        if checked.just_looked:
            return view.plain("invoice.just_looked", seconds=LOOKED.expires_s)
        now, coin = self.services.conversation.clock(), await self._coin(found.invoice)
        looked_at = now if checks else None
        await show_invoice(self, turn, checked.standing, looked_at=looked_at, coin=coin, is_unknown=checked.is_unknown)
        return None

    def _checks(self, invoice: Invoice) -> InvoiceChecks | None:
        """Return who asks what came for it; `None`: it is paid in Stars, or this way of paying is gone."""
        if invoice.method == "stars":
            return None
        group = self.services.find(NowPaymentsServices if invoice.method == "nowpayments" else SolanaServices)
        return group.checks if group else None

    async def _coin(self, invoice: Invoice) -> Coin | None:
        """Name the coin as the list does, if the processor says."""
        group = self.services.find(NowPaymentsServices) if invoice.method == "nowpayments" else None
        try:
            coins = await group.orders.coins() if group else []
        except TransientError:
            return None
        return next((coin for coin in coins if coin.code == invoice.asset.lower()), None)

    async def _show_invoices(self, turn: Turn) -> None:
        view = view_of(self.services, turn)
        found = await self.services.of(PaymentServices).invoices.of(turn.user_id, LISTED)
        if not found:
            await self.show(turn, message(view.html("invoices.none")))
            return
        lines = view.listed((_line(view, one) for one in found), "\n\n")
        rows = in_rows([_button(view, one.invoice) for one in found if _leads_on(one)], 2)
        again = view.button("button.refresh", ShowInvoices())
        await self.show(turn, message(view.html("invoices.list", invoices=lines), keyboard=(*rows, (again,))))


def _leads_on(one: StandingInvoice) -> bool:
    """To what has to be paid, or to what came for it."""
    return one.stands.state != "expired" or bool(one.arrivals)


def _button(view: View, invoice: Invoice) -> Button:
    return view.button("button.invoice", ShowInvoice(invoice.id), id=invoice.id)


def _state(one: StandingInvoice) -> str:
    state, settled = one.stands.state, settled_as(one.invoice, one.arrivals, one.stands)
    if settled == "nothing":
        return "nothing" if state == "expired" else state
    return "settled" if settled or (state == "overpaid" and not one.stands.needs_admin) else state


def _line(view: View, one: StandingInvoice) -> Html:
    invoice = one.invoice
    return view.html(
        "invoices.line",
        id=invoice.id,
        plan=view.label("plan", invoice.plan),
        days=invoice.days,
        amount=show_paid(invoice.amount, invoice.asset),
        asset="⭐" if invoice.method == "stars" else invoice.asset,
        state=view.plain(f"invoices.state.{_state(one)}"),
        made=f"{invoice.created_at:%d %b %Y}",
    )
