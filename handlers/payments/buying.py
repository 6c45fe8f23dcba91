"""Choosing a plan and paying for it, and the list of what was asked for."""

from __future__ import annotations

from typing import Final

from domain.delivery.messages import Button
from domain.payments.amounts import show
from domain.payments.plans import Offer
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.menus import View, message, view_of
from handlers.conversation.routing import callback, command
from handlers.payments.buttons import BuyWithStars, ShowInvoices, ShowOffers, ShowPlans
from handlers.payments.plans import overview, price
from runtime.errors import UserFacingError
from services.payments.group import PaymentServices
from services.payments.invoices import StandingInvoice
from services.payments.stars import InvoiceText, StarsService, renews
from texts.markup import Html

LISTED: Final = 10
"""Invoices in the list, the latest first."""


class BuyingMixin(BotBase):
    @command("plan", help="help.plan")
    async def plan(self, turn: Turn) -> None:
        subscriber = await self.services.subscribers.subscribers.require(turn.user_id)
        await self.reply(turn, overview(view_of(self.services, turn), self.services, subscriber))

    @callback(ShowPlans)
    async def show_plans(self, turn: Turn, _data: ShowPlans) -> None:
        subscriber = await self.services.subscribers.subscribers.require(turn.user_id)
        await self.show(turn, overview(view_of(self.services, turn), self.services, subscriber))

    @callback(ShowOffers)
    async def show_offers(self, turn: Turn, data: ShowOffers) -> None:
        view, takes_stars = view_of(self.services, turn), self.services.of(PaymentServices).takes_stars
        offers = [offer for offer in self.services.plans.subscriptions.offers(data.plan) if offer.stars]
        if not takes_stars or not offers:
            raise UserFacingError("stars.not_sold")
        rows = (*((_buy(view, offer),) for offer in offers), (view.button("button.back", ShowPlans()),))
        text = view.html("plans.choose", plan=view.label("plan", data.plan))
        await self.show(turn, message(text, keyboard=rows))

    @callback(BuyWithStars)
    async def buy_with_stars(self, turn: Turn, data: BuyWithStars) -> None:
        offer = self.services.plans.subscriptions.plans.offer(data.plan, data.months)
        if offer is None or not self.services.of(PaymentServices).takes_stars:
            raise UserFacingError("stars.not_sold")
        stars, view = self.services.of(StarsService), view_of(self.services, turn)
        invoice = await stars.open(turn.user_id, offer)
        name = view.label("plan", offer.plan)
        text = InvoiceText(
            title=view.plain("stars.invoice_title", plan=name),
            description=view.plain("stars.invoice_about", plan=name, days=offer.days, invoice=invoice.id),
            label=view.plain("stars.invoice_price", days=offer.days),
        )
        if not renews(invoice):
            await stars.send(invoice, text, chat_id=turn.chat_id)
            return
        pay = Button(text=view.plain("stars.subscribe", stars=offer.stars), url=await stars.link(invoice, text))
        await self.reply(turn, message(view.html("stars.renews", plan=name, stars=offer.stars), keyboard=((pay,),)))

    @command("invoices", help="help.invoices")
    async def invoices(self, turn: Turn) -> None:
        await self._show_invoices(turn)

    @callback(ShowInvoices)
    async def show_invoices(self, turn: Turn, _data: ShowInvoices) -> None:
        await self._show_invoices(turn)

    async def _show_invoices(self, turn: Turn) -> None:
        view = view_of(self.services, turn)
        found = await self.services.of(PaymentServices).invoices.of(turn.user_id, LISTED)
        if not found:
            await self.show(turn, message(view.html("invoices.none")))
            return
        lines = view.listed(_line(view, one) for one in found)
        again = view.button("button.refresh", ShowInvoices())
        await self.show(turn, message(view.html("invoices.list", invoices=lines), keyboard=((again,),)))


def _buy(view: View, offer: Offer) -> Button:
    return view.button(
        "button.buy_stars",
        BuyWithStars(offer.plan, offer.months),
        months=offer.months,
        stars=f"{offer.stars:,}",
        price=price(offer.price_usd),
    )


def _line(view: View, one: StandingInvoice) -> Html:
    invoice = one.invoice
    return view.html(
        "invoices.line",
        id=invoice.id,
        plan=view.label("plan", invoice.plan),
        days=invoice.days,
        amount=show(invoice.amount),
        asset="⭐" if invoice.method == "stars" else invoice.asset,
        state=view.plain(f"invoices.state.{one.stands.state}"),
        made=f"{invoice.created_at:%d %b %Y}",
    )
