"""What is sold, and how many have it, for the bot's admins."""

from __future__ import annotations

from typing import ClassVar

from domain.buttons.data import CallbackData
from domain.payments.plans import FREE, TRIAL, Offer
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.menus import View, message, view_of
from handlers.conversation.routing import callback, command
from services.administration.granting import GrantingService
from services.administration.people import PeopleService, PlanCount
from texts.markup import Html


class ShowPlanCounts(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "plancounts"


class AdminPlansMixin(BotBase):
    @command("plans", help="help.plans", admin="read_only", topic="money")
    async def plans(self, turn: Turn) -> None:
        view, plans = view_of(self.services, turn), self.services.of(GrantingService).plans
        counts = await self.services.of(PeopleService).by_plan()
        offers = {one.key: one.offers for one in plans.sold}
        known = (*offers, TRIAL, *((FREE,) if plans.free else ()))
        unsold = sorted(counts.keys() - set(known))
        lines = view.listed((_line(view, key, counts, offers.get(key, ())) for key in (*known, *unsold)), "\n\n")
        refresh = view.button("button.refresh", ShowPlanCounts())
        await self.show(turn, message(view.html("plan_counts.main", plans=lines), keyboard=((refresh,),)))

    @callback(ShowPlanCounts, admin="read_only")
    async def show_plan_counts(self, turn: Turn, _data: ShowPlanCounts) -> None:
        await self.plans(turn)


def _line(view: View, key: str, counts: dict[str, PlanCount], offers: tuple[Offer, ...]) -> Html:
    count = counts.get(key, PlanCount(0, 0))
    prices = ", ".join(_price(view, one) for one in offers) or view.plain("value.not_sold")
    told = {"plan": view.label("plan", key), "people": f"{count.people:,}", "active": f"{count.active:,}"}
    return view.html("plan_counts.line", **told, prices=prices)


def _price(view: View, one: Offer) -> str:
    key = "value.offer_stars" if one.stars else "value.offer"
    return view.plain(key, months=one.months, price=f"${one.price_usd:,.2f}", stars=f"{one.stars or 0:,}")
