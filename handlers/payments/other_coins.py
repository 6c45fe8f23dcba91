"""Paying in the coins of NOWPayments: in the chat, or on its page."""

from __future__ import annotations

from typing import Final

from domain.payments.amounts import show
from domain.payments.plans import Offer
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.menus import View, in_rows, message, view_of
from handlers.conversation.pages import Page
from handlers.conversation.routing import callback
from handlers.payments.buttons import BuyOnPage, BuyWithCoin, ShowCoins
from handlers.payments.invoice_menus import coin_name
from handlers.payments.prices import price
from handlers.payments.showing import show_invoice
from handlers.payments.ways import offer_of, other_way, told_as
from managers.payments.nowpayments import AmountTooSmallError, Coin
from runtime.errors import TransientError, UserFacingError
from services.payments.group import NowPaymentsServices, PaymentServices
from services.payments.nowpayments_orders import NowPaymentsOrders
from texts.renderer import FALLBACK_LANGUAGE

COINS_ON_PAGE: Final = 12
PER_ROW: Final = 2
UNAVAILABLE: Final = "other_coins.unavailable"


class OtherCoinsMixin(BotBase):
    @callback(ShowCoins)
    async def show_coins(self, turn: Turn, data: ShowCoins) -> None:
        offer, view = offer_of(self.services, data.plan, data.months, "other"), view_of(self.services, turn)
        orders = self._orders()
        with told_as(UNAVAILABLE):
            coins = await orders.coins()
        page = Page.at(data.page, total=len(coins), per_page=COINS_ON_PAGE)
        buttons = [
            view.button("button.coin", BuyWithCoin(offer.plan, offer.months, coin.code), coin=coin_name(view, coin))
            for coin in page.of(coins)
        ]
        rows = in_rows(buttons, PER_ROW) + page.turning(view, lambda number: ShowCoins(*_key(offer), number))
        if orders.has_pages:
            rows += ((view.button("button.pay_page", BuyOnPage(*_key(offer))),),)
        rows += ((other_way(view, self.services, offer.plan, offer.days),),)
        about = {"plan": view.label("plan", offer.plan), "days": offer.days, "price": price(offer.price_usd)}
        text = view.html("other_coins.choose" if coins else "other_coins.none", **about)
        await self.show(turn, message(text, keyboard=rows))

    @callback(BuyWithCoin)
    async def buy_with_coin(self, turn: Turn, data: BuyWithCoin) -> None:
        offer, view = offer_of(self.services, data.plan, data.months, "other"), view_of(self.services, turn)
        orders = self._orders()
        with told_as(UNAVAILABLE):
            coin = next((coin for coin in await orders.coins() if coin.code == data.coin), None)
            if coin is None:
                raise UserFacingError("callback.stale")
            try:
                invoice = await orders.buy(turn.user_id, offer, coin.code, self._description(offer))
            except AmountTooSmallError as error:
                raise await _too_small(view, orders, coin) from error
        await self._show(turn, invoice.id, coin)

    @callback(BuyOnPage)
    async def buy_on_page(self, turn: Turn, data: BuyOnPage) -> None:
        offer, orders = offer_of(self.services, data.plan, data.months, "other"), self._orders()
        if not orders.has_pages:
            raise UserFacingError("callback.stale")
        with told_as(UNAVAILABLE):
            invoice = await orders.buy(turn.user_id, offer, None, self._description(offer))
        await self._show(turn, invoice.id, None)

    async def _show(self, turn: Turn, invoice_id: str, coin: Coin | None) -> None:
        with told_as(UNAVAILABLE):
            found = await self.services.of(PaymentServices).invoices.own(turn.user_id, invoice_id)
        await show_invoice(self, turn, found, coin=coin)

    def _orders(self) -> NowPaymentsOrders:
        return self.services.of(NowPaymentsServices).orders

    def _description(self, offer: Offer) -> str:
        """Say what is bought, as the processor shows it to whoever pays."""
        view = View(texts=self.services.conversation.texts, language=FALLBACK_LANGUAGE)
        return view.plain("other_coins.description", plan=view.label("plan", offer.plan), days=offer.days)


def _key(offer: Offer) -> tuple[str, int]:
    return offer.plan, offer.months


async def _too_small(view: View, orders: NowPaymentsOrders, coin: Coin) -> UserFacingError:
    name = coin_name(view, coin)
    try:
        return UserFacingError("other_coins.too_small", coin=name, least=show(await orders.least(coin.code)))
    except TransientError:
        return UserFacingError("other_coins.too_little", coin=name)
