"""What admins decide of money that arrived: settled for an invoice, dismissed, refunded, each after a second tap."""

from __future__ import annotations

from typing import Final

from handlers.admin import payment_menus as menus
from handlers.admin.buttons import AskInvoice, AskRuling, ConfirmRuling, NoteRuling, ShowArrival
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.confirming import asked_twice
from handlers.conversation.menus import message, view_of
from handlers.conversation.routing import callback, text_input
from runtime.errors import UserFacingError
from services.payments.group import SettlingServices

FOR_INVOICE: Final = "payments_invoice"
ABOUT_RULING: Final = "payments_ruling"
"""Kinds of questions; the payload is the packed data of the button that asked."""


class AdminSettlingMixin(BotBase):
    @callback(AskInvoice, admin="support")
    async def ask_invoice(self, turn: Turn, data: AskInvoice) -> None:
        view = view_of(self.services, turn)
        await self.services.conversation.inputs.expect(turn.user_id, FOR_INVOICE, data.pack())
        back = view.button("button.back", ShowArrival(data.handle))
        await self.show(turn, message(view.html("paying.ask_invoice"), keyboard=((back,),)))

    @text_input(FOR_INVOICE, admin="support")
    async def typed_invoice(self, turn: Turn, payload: str) -> None:
        """Ask whether that invoice is meant; a wrong one leaves the question open."""
        handle, search = AskInvoice.unpack(payload).handle, self.services.of(SettlingServices).search
        try:
            one = (await search.invoice_named(turn.text)).invoice
            await self._ask_ruling(turn, AskRuling("settle", handle, one.id))
        except UserFacingError as error:
            await self.ask_again(turn, error)
            return
        await self.services.conversation.inputs.cancel(turn.user_id)

    @callback(AskRuling, admin="support")
    async def ask_ruling(self, turn: Turn, data: AskRuling) -> None:
        await self._ask_ruling(turn, data)

    async def _ask_ruling(self, turn: Turn, data: AskRuling) -> None:
        text = await menus.asked(view_of(self.services, turn), self.services, data)
        needs_note = data.action in {"dismiss", "returned"}
        yes = NoteRuling if needs_note else ConfirmRuling
        asked = await asked_twice(
            self.services,
            turn,
            text,
            yes_key=f"button.pay_yes.{data.action}",
            yes=yes(data.action, data.handle, data.invoice_id),
            back=ShowArrival(data.handle),
        )
        await self.show(turn, asked)

    @callback(NoteRuling, admin="support", confirmed=True)
    async def ask_about_ruling(self, turn: Turn, data: NoteRuling) -> None:
        view = view_of(self.services, turn)
        await self.services.conversation.inputs.expect(turn.user_id, ABOUT_RULING, data.pack())
        back = view.button("button.back", ShowArrival(data.handle))
        await self.show(turn, message(view.html(f"paying.type.{data.action}"), keyboard=((back,),)))

    @callback(ConfirmRuling, admin="support", acts="settle payment", confirmed=True)
    async def confirm_ruling(self, turn: Turn, data: ConfirmRuling) -> str:
        settling, view = self.services.of(SettlingServices), view_of(self.services, turn)
        key = await settling.search.key_of(data.handle)
        match data.action:
            case "settle":
                verdict = await settling.settling.settle(key, data.invoice_id, turn.user_id)
            case "refund":
                verdict = await settling.settling.refund(key, turn.user_id)
            case _:
                raise UserFacingError("callback.stale")
        if turn.deed is not None:
            turn.deed.about(details=key)
        await self.show(turn, await menus.arrival_by(view, self.services, data.handle))
        return view.plain(f"paying.verdict.{verdict}")

    @text_input(ABOUT_RULING, admin="support", acts="settle payment")
    async def typed_about_ruling(self, turn: Turn, payload: str) -> None:
        data, settling = NoteRuling.unpack(payload), self.services.of(SettlingServices)
        key = await settling.search.key_of(data.handle)
        decide = settling.settling.dismiss if data.action == "dismiss" else settling.settling.returned
        try:
            verdict = await decide(key, turn.user_id, turn.text)
        except UserFacingError as error:
            await self.ask_again(turn, error)
            return
        await self.services.conversation.inputs.cancel(turn.user_id)
        view = view_of(self.services, turn)
        if turn.deed is not None:
            turn.deed.about(details=key)
            turn.deed.end("done", view.plain(f"paying.verdict.{verdict}"))
        note = view.html(f"paying.verdict.{verdict}")
        await self.reply(turn, await menus.arrival_by(view, self.services, data.handle, note))
