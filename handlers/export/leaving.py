"""Going for good: what is lost, what goes, what stays, and a second question that is not open for long."""

from __future__ import annotations

from collections.abc import Iterator

from domain.delivery.quiet import shown_time
from domain.payments.amounts import show_paid
from domain.payments.plans import TRIAL
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.confirming import asked_at, question, require_fresh
from handlers.conversation.menus import View, message, view_of
from handlers.conversation.routing import callback, command
from handlers.export.buttons import AskToLeave, Leave, Stay
from runtime.errors import DeliveryError, TransientError, UserFacingError
from services.export.erasing import ErasingService
from services.export.obligations import Obligations, ObligationsService
from texts.markup import Html


class LeavingMixin(BotBase):
    @command("delete_me", help="help.delete_me")
    async def delete_me(self, turn: Turn) -> None:
        view = view_of(self.services, turn)
        found = await self.services.of(ObligationsService).of(turn.user_id)
        lost = view.listed(_lost(view, found))
        text = view.html("leaving.menu")
        stays = view.html("leaving.stays")
        keyboard = (
            (view.button("button.leave", AskToLeave()),),
            (view.button("button.stay", Stay()),),
        )
        await self.reply(turn, message(lost, text, stays, keyboard=keyboard))

    @callback(AskToLeave)
    async def ask_to_leave(self, turn: Turn, _data: AskToLeave) -> None:
        view, now = view_of(self.services, turn), self.services.conversation.clock()
        sure = view.html("leaving.sure")
        await self.show(turn, question(view, sure, "button.leave_now", Leave(asked_at(now)), Stay()))

    @callback(Leave)
    async def leave(self, turn: Turn, data: Leave) -> None:
        require_fresh(data.asked_s, self.services.conversation.clock())
        try:
            await self.services.of(ObligationsService).end_renewals(turn.user_id)
        except (DeliveryError, TransientError) as error:
            raise UserFacingError("leaving.renews_still") from error
        erasure = await self.services.of(ErasingService).ask(
            user_id=turn.user_id, chat_id=turn.chat_id, language=turn.language
        )
        await self.show(turn, message(view_of(self.services, turn).html("leaving.begun", number=erasure.number)))

    @callback(Stay)
    async def stay(self, turn: Turn, _data: Stay) -> None:
        await self.show(turn, message(view_of(self.services, turn).html("leaving.stayed")))


def _lost(view: View, found: Obligations) -> Iterator[Html]:
    if found.plan and found.until:
        key = "leaving.trial" if found.plan == TRIAL else "leaving.plan"
        yield view.html(key, plan=view.label("plan", found.plan), until=shown_time(found.until, found.zone))
    if found.renewing:
        yield view.html("leaving.renews")
    for one in found.open_invoices:
        asset = "⭐" if one.invoice.method == "stars" else one.invoice.asset
        amount = show_paid(one.invoice.amount, one.invoice.asset)
        state = view.plain(f"invoices.state.{one.stands.state}")
        yield view.html("leaving.invoice", id=one.invoice.id, amount=amount, asset=asset, state=state)
