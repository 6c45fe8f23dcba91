"""Paying in SOL and USDC, and transactions that somebody pastes."""

from __future__ import annotations

from domain.payments.signatures import signature_in
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.menus import message, view_of
from handlers.conversation.routing import callback, command, recognised
from handlers.payments.buttons import BuyOnSolana
from handlers.payments.showing import show_invoice
from handlers.payments.ways import offer_of, told_as
from runtime.errors import UserFacingError
from services.payments.group import PaymentServices, SolanaServices


class SolanaMixin(BotBase):
    @callback(BuyOnSolana)
    async def buy_on_solana(self, turn: Turn, data: BuyOnSolana) -> None:
        if data.coin not in ("sol", "usdc"):
            raise UserFacingError("callback.stale")
        offer = offer_of(self.services, data.plan, data.months, data.coin)
        with told_as("invoice.cannot_make"):
            made = await self.services.of(SolanaServices).invoicing.make(turn.user_id, offer, data.coin)
            found = await self.services.of(PaymentServices).invoices.own(turn.user_id, made.invoice.id)
        await show_invoice(self, turn, found)

    @command("paid", help="help.paid", takes=True, needs=SolanaServices, goes_on=True)
    async def paid(self, turn: Turn) -> None:
        said = turn.text.split(maxsplit=1)
        if len(said) > 1:
            await self._claim(turn, signature_in(said[1]) or said[1])
        else:
            await self.reply(turn, message(view_of(self.services, turn).html("paid.usage")))

    @recognised(signature_in, needs=SolanaServices)
    async def signature_pasted(self, turn: Turn, signature: str) -> None:
        await self._claim(turn, signature)

    async def _claim(self, turn: Turn, pasted: str) -> None:
        view, payments = view_of(self.services, turn), self.services.of(PaymentServices)
        with told_as("paid.unavailable"):
            claim = await self.services.of(SolanaServices).pasted.claim(turn.user_id, pasted)
        if claim.file is not None:
            await show_invoice(self, turn, payments.invoices.standing(claim.file), anew=True)
        else:
            await self.reply(turn, message(view.html(f"paid.{claim.verdict}")))
