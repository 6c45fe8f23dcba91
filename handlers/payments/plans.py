"""Plans and what they cost, as people read them."""

from __future__ import annotations

from datetime import timedelta

from domain.delivery.messages import Message
from domain.delivery.quiet import shown_time
from domain.payments.plans import Offer, Plan
from domain.subscribers.subscriber import Subscriber
from handlers.conversation.base import Services
from handlers.conversation.menus import Keyboard, View, message
from handlers.payments.buttons import ShowOffers
from handlers.payments.prices import price
from handlers.payments.ways import Way, ways_to_pay
from services.plans.subscriptions import SubscriptionStatus
from texts.markup import Html, join

_MINUTE = timedelta(minutes=1)


def overview(view: View, services: Services, subscriber: Subscriber) -> Message:
    """Show what the person has, what is sold, and where it is bought."""
    status, plans = services.plans.subscriptions.status(subscriber), services.plans.subscriptions.plans
    lines = [_plan(view, services, plan) for plan in plans.sold]
    if plans.free:
        lines.append(_free(view, plans.free))
    text = view.html(
        "plans.overview",
        plan=view.label("plan", status.plan),
        time=time_left(view, status, subscriber.preferences.time_zone),
        used=join("\n", (sets_used(view, status), per_hour(view, status))),
        plans=view.listed(lines, "\n\n"),
    )
    return message(text, keyboard=plan_buttons(view, services))


def plan_buttons(view: View, services: Services) -> Keyboard:
    """The row of what is sold. It stands last wherever it leads, so that a double tap does not lead on, or back."""
    sold = services.plans.subscriptions.plans.sold
    buttons = tuple(
        view.button("button.buy_plan", ShowOffers(plan.key), plan=view.label("plan", plan.key))
        for plan in sold
        if any(ways_to_pay(services, offer) for offer in plan.offers)
    )
    return (buttons,) if buttons else ()


def time_left(view: View, status: SubscriptionStatus, zone: str) -> Html:
    """How long they have it, by the clocks of their zone."""
    if status.ends_at is None:
        return view.html("status.no_end" if status.active else "status.no_time")
    until = shown_time(status.ends_at, zone)
    if status.active:
        return view.html("status.time_left", days=status.days_left, until=until)
    if status.grace_until:
        return view.html("status.grace", until=until, grace=shown_time(status.grace_until, zone))
    return view.html("status.ended", until=until)


def sets_used(view: View, status: SubscriptionStatus) -> Html:
    return view.html(
        "status.sets_paused" if status.filter_sets_paused else "status.sets",
        used=status.filter_sets,
        limit=status.filter_sets_limit,
        paused=status.filter_sets_paused,
    )


def per_hour(view: View, status: SubscriptionStatus) -> Html:
    """How many alerts they get by their plan, and how many by their own wish, if fewer."""
    included, wanted = status.alerts_per_hour, status.wanted_per_hour
    if included is None:
        return view.html("status.any_per_hour" if wanted is None else "status.any_wanted_per_hour", wanted=wanted)
    key = "status.per_hour" if wanted is None else "status.wanted_per_hour"
    return view.html(key, count=included, wanted=wanted)


def _plan(view: View, services: Services, plan: Plan) -> Html:
    return view.html(
        "plans.plan",
        plan=view.label("plan", plan.key),
        sets=plan.filter_sets,
        watches=plan.watches,
        per_hour=_per_hour(view, plan),
        offers=join("\n", (_offer(view, offer, ways_to_pay(services, offer)) for offer in plan.offers)),
    )


def _free(view: View, plan: Plan) -> Html:
    return view.html(
        "plans.free" if plan.delay else "plans.free_at_once",
        plan=view.label("plan", plan.key),
        sets=plan.filter_sets,
        watches=plan.watches,
        per_hour=_per_hour(view, plan),
        minutes=plan.delay // _MINUTE,
    )


def _per_hour(view: View, plan: Plan) -> Html:
    if plan.alerts_per_hour is None:
        return view.html("plans.any_per_hour")
    return view.html("plans.per_hour", count=plan.alerts_per_hour)


def _offer(view: View, offer: Offer, ways: tuple[Way, ...]) -> Html:
    key = "plans.offer_both" if "stars" in ways else "plans.offer"
    return view.html(
        "plans.offer_stars" if ways == ("stars",) else key,
        months=offer.months,
        days=offer.days,
        price=price(offer.price_usd),
        stars=offer.stars and f"{offer.stars:,}",
    )
