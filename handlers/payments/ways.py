"""How something can be paid: only what is configured is offered, and a single way is not asked for."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Literal

import structlog

from domain.buttons.data import CallbackData
from domain.delivery.messages import Button, Message
from domain.payments.plans import DAYS, Offer
from handlers.conversation.base import Services
from handlers.conversation.menus import View, message
from handlers.payments.buttons import BuyOnSolana, BuyWithStars, ShowCoins, ShowOffers, ShowPlans, ShowWays
from handlers.payments.prices import price
from runtime.errors import DeliveryError, TransientError, UserFacingError
from services.payments.group import NowPaymentsServices, PaymentServices, SolanaServices
from texts.markup import Html, join

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

Way = Literal["stars", "sol", "usdc", "other"]


def ways_to_pay(services: Services, offer: Offer) -> tuple[Way, ...]:
    """What is configured and not turned off; what was opened before it was may still be paid."""
    found: list[Way] = []
    if services.of(PaymentServices).takes_stars and offer.stars:
        found.append("stars")
    if services.find(SolanaServices):
        found.extend(("sol", "usdc"))
    if services.find(NowPaymentsServices):
        found.append("other")
    return tuple(way for way in found if not services.conversation.standing.is_off(way))


def offer_of(services: Services, plan: str, months: int, way: Way | None = None) -> Offer:
    """Return what a button is about. `UserFacingError` for what is not sold, or not this way."""
    offer = services.plans.subscriptions.plans.offer(plan, months)
    ways = ways_to_pay(services, offer) if offer else ()
    if offer is None or not ways or (way is not None and way not in ways):
        raise UserFacingError("stars.not_sold" if way == "stars" else "buying.not_sold")
    return offer


def ways_menu(view: View, services: Services, offer: Offer, warnings: Iterable[Html] = ()) -> Message:
    """`warnings`: what is said before anything is chosen."""
    buttons = {way: _button(view, offer, way) for way in ways_to_pay(services, offer)}
    rows = [(buttons[way],) for way in ("stars",) if way in buttons]
    rows += [tuple(buttons[way] for way in ("sol", "usdc"))] if "sol" in buttons else []
    rows += [(buttons[way],) for way in ("other",) if way in buttons]
    rows.append((view.button("button.back", ShowOffers(offer.plan)),))
    text = view.html("buying.ways", plan=view.label("plan", offer.plan), days=offer.days, price=price(offer.price_usd))
    return message(join("\n\n", (*warnings, text)), keyboard=tuple(rows))


def months_button(view: View, services: Services, offer: Offer) -> Button:
    """Lead to the ways, or along the only one."""
    ways, shown = ways_to_pay(services, offer), price(offer.price_usd)
    if ways == ("stars",):
        data = BuyWithStars(offer.plan, offer.months)
        return view.button("button.buy_stars", data, months=offer.months, stars=f"{offer.stars:,}", price=shown)
    data = _data(offer, *ways) if len(ways) == 1 else ShowWays(offer.plan, offer.months)
    return view.button("button.buy_months", data, months=offer.months, price=shown)


def other_way(view: View, services: Services, plan: str, days: int) -> Button:
    """Lead back from an invoice to the other ways of paying for the same, where there are any."""
    months = next((months for months, days_of in DAYS.items() if days_of == days), 0)
    offer = services.plans.subscriptions.plans.offer(plan, months)
    count = len(ways_to_pay(services, offer)) if offer else 0
    return view.button("button.other_way", ShowWays(plan, months) if count > 1 else ShowPlans())


def _button(view: View, offer: Offer, way: Way) -> Button:
    return view.button(f"button.way.{way}", _data(offer, way), stars=f"{offer.stars or 0:,}")


def _data(offer: Offer, way: Way) -> CallbackData:
    match way:
        case "stars":
            return BuyWithStars(offer.plan, offer.months)
        case "sol" | "usdc":
            return BuyOnSolana(offer.plan, offer.months, way)
        case "other":
            return ShowCoins(offer.plan, offer.months, 0)


@contextmanager
def told_as(key: str) -> Generator[None]:
    """Say by this text that a store, a network or the processor is unavailable. Telegram's own trouble stays that."""
    try:
        yield
    except DeliveryError:
        raise
    except TransientError as error:
        log.warning("payments_unavailable", text=key, reason=str(error), kind=type(error).__name__)
        raise UserFacingError(key) from error
