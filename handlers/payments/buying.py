"""Choosing a plan, for how long, and how it is paid; paying with Stars."""

from __future__ import annotations

from domain.delivery.messages import Button
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.menus import message, view_of
from handlers.conversation.routing import callback, command
from handlers.payments.buttons import BuyWithStars, ShowOffers, ShowPlans, ShowWays
from handlers.payments.plans import overview, plan_buttons
from handlers.payments.showing import leave_invoice
from handlers.payments.ways import months_button, offer_of, ways_menu, ways_to_pay
from runtime.errors import UserFacingError
from services.payments.stars import InvoiceText, StarsService, renews


class BuyingMixin(BotBase):
    @command("plan", help="help.plan", goes_on=True)
    async def plan(self, turn: Turn) -> None:
        subscriber = await self.services.subscribers.subscribers.require(turn.user_id)
        await self.reply(turn, overview(view_of(self.services, turn), self.services, subscriber))

    @callback(ShowPlans)
    async def show_plans(self, turn: Turn, _data: ShowPlans) -> None:
        subscriber = await self.services.subscribers.subscribers.require(turn.user_id)
        await leave_invoice(self.services, turn)
        await self.show(turn, overview(view_of(self.services, turn), self.services, subscriber))

    @callback(ShowOffers)
    async def show_offers(self, turn: Turn, data: ShowOffers) -> None:
        view = view_of(self.services, turn)
        offers = [
            offer for offer in self.services.plans.subscriptions.offers(data.plan) if ways_to_pay(self.services, offer)
        ]
        if not offers:
            raise UserFacingError("buying.not_sold")
        rows = (
            *((months_button(view, self.services, offer),) for offer in offers),
            (view.button("button.back", ShowPlans()),),
            *plan_buttons(view, self.services),
        )
        text = view.html("plans.choose", plan=view.label("plan", data.plan))
        await self.show(turn, message(text, keyboard=rows))

    @callback(ShowWays)
    async def show_ways(self, turn: Turn, data: ShowWays) -> None:
        offer = offer_of(self.services, data.plan, data.months)
        await leave_invoice(self.services, turn)
        await self.show(turn, ways_menu(view_of(self.services, turn), self.services, offer))

    @callback(BuyWithStars)
    async def buy_with_stars(self, turn: Turn, data: BuyWithStars) -> None:
        offer = offer_of(self.services, data.plan, data.months, "stars")
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
        price = f"{offer.stars:,}"
        pay = Button(text=view.plain("stars.subscribe", stars=price), url=await stars.link(invoice, text))
        await self.reply(turn, message(view.html("stars.renews", plan=name, stars=price), keyboard=((pay,),)))
