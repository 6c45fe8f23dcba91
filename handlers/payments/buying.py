"""Choosing a plan, for how long, and how it is paid; paying with Stars."""

from __future__ import annotations

from domain.delivery.messages import Button
from domain.payments.invoices import Invoice
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.menus import message, view_of
from handlers.conversation.routing import callback, command
from handlers.payments.becoming import becoming_lines
from handlers.payments.buttons import BuyWithStars, ShowOffers, ShowPlans, ShowWays
from handlers.payments.plans import overview, plan_buttons
from handlers.payments.renewals import renewal_lines, renewals_of
from handlers.payments.showing import leave_invoice
from handlers.payments.ways import months_button, offer_of, ways_menu, ways_to_pay
from runtime.errors import UserFacingError
from services.payments.stars import InvoiceText, StarsService, renews
from texts.markup import join


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
        subscriber = await self.services.subscribers.subscribers.require(turn.user_id)
        becoming = await becoming_lines(view, self.services, subscriber, data.plan, offers)
        text = view.html("plans.choose", plan=view.label("plan", data.plan))
        await self.show(turn, message(join("\n\n", (*becoming, text)), keyboard=rows))

    @callback(ShowWays)
    async def show_ways(self, turn: Turn, data: ShowWays) -> None:
        offer = offer_of(self.services, data.plan, data.months)
        await leave_invoice(self.services, turn)
        view, renewing = view_of(self.services, turn), await renewals_of(self.services, turn.user_id)
        zone = (await self.services.subscribers.subscribers.require(turn.user_id)).preferences.time_zone
        warnings = renewal_lines(view, "stars.goes_on", renewing, zone)
        await self.show(turn, ways_menu(view, self.services, offer, warnings))

    @callback(BuyWithStars)
    async def buy_with_stars(self, turn: Turn, data: BuyWithStars) -> None:
        offer = offer_of(self.services, data.plan, data.months, "stars")
        await hand_over(self, turn, await self.services.of(StarsService).open(turn.user_id, offer))


async def hand_over(bot: BotBase, turn: Turn, invoice: Invoice) -> None:
    """Give somebody what they pay an invoice in Stars by, and say what renews by itself, before they pay."""
    stars, view = bot.services.of(StarsService), view_of(bot.services, turn)
    name = view.label("plan", invoice.plan)
    text = InvoiceText(
        title=view.plain("stars.invoice_title", plan=name),
        description=view.plain("stars.invoice_about", plan=name, days=invoice.days, invoice=invoice.id),
        label=view.plain("stars.invoice_price", days=invoice.days),
    )
    if not renews(invoice):
        await stars.send(invoice, text, chat_id=turn.chat_id)
        return
    price = f"{invoice.amount:,}"
    pay = Button(text=view.plain("stars.subscribe", stars=price), url=await stars.link(invoice, text))
    zone = (await bot.services.subscribers.subscribers.require(turn.user_id)).preferences.time_zone
    warnings = renewal_lines(view, "stars.renews_too", await stars.renewing(turn.user_id), zone)
    asked = view.html("stars.renews", plan=name, stars=price)
    await bot.reply(turn, message(join("\n\n", (*warnings, asked)), keyboard=((pay,),)))
