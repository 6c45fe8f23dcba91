"""What a subscriber has, until when, and what plans cost."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from domain.subscribers.subscriber import Subscriber
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.menus import View, message, view_of
from handlers.conversation.routing import command
from handlers.filters.buttons import ShowSettings
from handlers.filters.list_menus import subscriber_state
from services.payments.subscriptions import SubscriptionStatus
from texts.markup import Html


class PaymentsMixin(BotBase):
    @command("status", help="help.status")
    async def status(self, turn: Turn) -> None:
        subscriber = await self.services.subscribers.subscribers.require(turn.user_id)
        status = self.services.payments.subscriptions.status(subscriber)
        view = view_of(self.services, turn)
        text = view.html(
            "status.main",
            plan=view.label("plan", status.plan),
            time=_time(view, status),
            state=subscriber_state(view, subscriber, self.services.conversation.clock()),
            rules=_rules(view, subscriber),
        )
        settings = view.button("button.settings", ShowSettings())
        await self.reply(turn, message(text, keyboard=((settings,),)))

    @command("plan", help="help.plan")
    async def plan(self, turn: Turn) -> None:
        subscriber = await self.services.subscribers.subscribers.require(turn.user_id)
        status = self.services.payments.subscriptions.status(subscriber)
        view = view_of(self.services, turn)
        plans = (
            view.html("plans.line", plan=view.label("plan", plan.key), price=_price(offer.price_usd), days=offer.days)
            for plan in self.services.payments.subscriptions.plans.sold
            for offer in plan.offers
        )
        text = view.html(
            "plans.overview",
            plan=view.label("plan", status.plan),
            time=_time(view, status),
            plans=view.listed(plans),
        )
        await self.reply(turn, message(text))


def _time(view: View, status: SubscriptionStatus) -> Html:
    if status.ends_at is None:
        return view.html("status.no_time")
    until = _date(status.ends_at)
    if not status.active:
        return view.html("status.ended", until=until)
    return view.html("status.time_left", days=status.days_left, until=until)


def _rules(view: View, subscriber: Subscriber) -> Html:
    enabled = [filter_set for filter_set in subscriber.filter_sets if filter_set.enabled]
    if not enabled:
        return view.html("status.no_filter")
    return view.listed(
        view.html("status.filter", name=view.set_name(filter_set), rules=view.rules_short(filter_set.rules))
        if filter_set.rules
        else view.html("status.open_filter", name=view.set_name(filter_set))
        for filter_set in enabled
    )


def _date(at: datetime) -> str:
    return at.strftime("%d %b %Y, %H:%M UTC")


def _price(price_usd: Decimal) -> str:
    whole = price_usd == price_usd.to_integral_value()
    return f"${price_usd:,.0f}" if whole else f"${price_usd:,.2f}"
