"""Money, for the bot's admins: what waits for them, and whatever they search for."""

from __future__ import annotations

from typing import Final, cast, get_args

from domain.buttons.data import CallbackData
from handlers.admin import payment_menus as menus
from handlers.admin.buttons import (
    AskSearch,
    CompareNow,
    ShowArrival,
    ShowDifferences,
    ShowInvoice,
    ShowPayer,
    ShowPayments,
    ShowPerson,
    ShowWaiting,
)
from handlers.admin.people.buttons import ShowUser
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.menus import message, view_of
from handlers.conversation.pages import Page
from handlers.conversation.routing import callback, command, text_input
from runtime.errors import UserFacingError
from services.payments.group import SettlingServices
from services.payments.reconciliation import Reconciliation
from services.payments.settling.search import Which

SEARCH: Final = "payments_search"
"""Kind of question."""


class AdminPaymentsMixin(BotBase):
    @command("payments", help="help.payments", takes=True, admin="read_only", topic="money")
    async def payments(self, turn: Turn) -> None:
        typed = turn.text.split(maxsplit=1)[1:]
        await (self._show_found(turn, typed[0]) if typed else self._show_payments(turn))

    @callback(ShowPayments, admin="read_only")
    async def show_payments(self, turn: Turn, _data: ShowPayments) -> None:
        await self._show_payments(turn)

    @callback(CompareNow, admin="support", acts="compare payments")
    async def compare_payments(self, turn: Turn, _data: CompareNow) -> str:
        reconciliation = self.services.find(Reconciliation)
        if reconciliation is None:
            raise UserFacingError("callback.stale")
        names = await reconciliation.compare_now()
        return view_of(self.services, turn).plain("paying.compared_now", sources=", ".join(names))

    @callback(AskSearch, admin="read_only")
    async def ask_search(self, turn: Turn, data: AskSearch) -> None:
        view = view_of(self.services, turn)
        await self.services.conversation.inputs.expect(turn.user_id, SEARCH, data.pack())
        back = view.button("button.back", ShowPayments())
        await self.show(turn, message(view.html("paying.ask_search"), keyboard=((back,),)))

    @text_input(SEARCH, admin="read_only")
    async def typed_search(self, turn: Turn, _payload: str) -> None:
        await self._show_found(turn, turn.text)

    @callback(ShowPerson, admin="read_only")
    async def show_person(self, turn: Turn, data: ShowPerson) -> None:
        await self._show_found(turn, str(data.user_id))

    @callback(ShowPayer, admin="read_only")
    async def show_payer(self, turn: Turn, data: ShowPayer) -> None:
        await self._show_found(turn, str(data.user_id), ShowUser(data.user_id))

    @callback(ShowWaiting, admin="read_only")
    async def show_waiting(self, turn: Turn, data: ShowWaiting) -> None:
        if data.which not in get_args(Which):
            raise UserFacingError("callback.stale")
        which, search = cast("Which", data.which), self.services.of(SettlingServices).search
        found = await search.waiting(which, max(0, min(data.page, menus.MAX_PAGE)) * menus.PER_PAGE, menus.PER_PAGE)
        page = Page.at(data.page, total=found.total, per_page=menus.PER_PAGE)
        if page.number != data.page:
            found = await search.waiting(which, page.start, menus.PER_PAGE)
        await self.show(turn, await menus.waiting(view_of(self.services, turn), search, which, page, found))

    @callback(ShowDifferences, admin="read_only")
    async def show_differences(self, turn: Turn, data: ShowDifferences) -> None:
        search = self.services.of(SettlingServices).search
        await self.show(turn, await menus.differences(view_of(self.services, turn), search, data.page))

    @callback(ShowInvoice, admin="read_only")
    async def inspect_invoice(self, turn: Turn, data: ShowInvoice) -> None:
        file = await self.services.of(SettlingServices).search.file(data.invoice_id)
        if file is None:
            raise UserFacingError("paying.invoice_unknown", typed=data.invoice_id)
        await self.show(turn, await menus.invoice(view_of(self.services, turn), self.services, file))

    @callback(ShowArrival, admin="read_only")
    async def show_arrival(self, turn: Turn, data: ShowArrival) -> None:
        await self.show(turn, await menus.arrival_by(view_of(self.services, turn), self.services, data.handle))

    async def _show_payments(self, turn: Turn) -> None:
        overview = await self.services.of(SettlingServices).search.overview()
        await self.show(turn, menus.main(view_of(self.services, turn), overview))

    async def _show_found(self, turn: Turn, typed: str, back: CallbackData | None = None) -> None:
        found = await self.services.of(SettlingServices).search.find(typed)
        await self.show(
            turn, await menus.found(view_of(self.services, turn), self.services, found, typed, back or ShowPayments())
        )
