"""What admins give, take and move: days of a plan, each with a reason that is written down."""

from __future__ import annotations

import re
from typing import Final

from handlers.admin.people.buttons import (
    AskGrant,
    AskMove,
    AskRevoke,
    Grant,
    Move,
    Revoke,
    ShowSubscription,
    ShowUser,
)
from handlers.admin.people.cards import shown_moment
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.confirming import asked_twice
from handlers.conversation.menus import in_rows, message, view_of
from handlers.conversation.routing import callback, text_input
from runtime.errors import UserFacingError
from services.administration.granting import MAX_DAYS, GrantingService
from services.administration.people import PeopleService
from texts.markup import Html

GRANT: Final = "user_grant"
REVOKE: Final = "user_revoke"
MOVE: Final = "user_move"
"""Kinds of questions; the payload is the packed data of the button that asked."""
_DAYS_AND_WHY: Final = re.compile(r"\s*(\d{1,9})\s+(\S.*)", re.DOTALL)
_WHOM_AND_WHY: Final = re.compile(r"\s*(@?\w{1,32})\s+(\S.*)", re.DOTALL)
_SHOWN: Final = 300


class AdminSubscriptionsMixin(BotBase):
    @callback(ShowSubscription, admin="read_only")
    async def show_subscription(self, turn: Turn, data: ShowSubscription) -> None:
        await self._show_subscription(turn, data.user_id)

    async def _show_subscription(self, turn: Turn, user_id: int) -> None:
        view, granting = view_of(self.services, turn), self.services.of(GrantingService)
        who = await self.services.of(PeopleService).require(user_id)
        standing, now = await granting.standing(user_id), self.services.conversation.clock()
        text = view.html(
            "granting.main",
            name=who.name,
            user_id=user_id,
            plan=view.label("plan", standing.plan) if standing.plan else "–",
            until=shown_moment(standing.until),
            shown=view.label("plan", who.plan),
        )
        plans = granting.plans.sold
        giving = (
            view.button("button.grant", AskGrant(user_id, one.key), plan=view.label("plan", one.key)) for one in plans
        )
        taking = (
            view.button("button.revoke", AskRevoke(user_id)),
            view.button("button.move", AskMove(user_id)),
        )
        back = (view.button("button.back", ShowUser(user_id)),)
        keyboard = (*in_rows(giving, 2), *((taking,) if standing.is_active(now) else ()), back)
        await self.show(turn, message(text, view.html("granting.hint"), keyboard=keyboard))

    @callback(AskGrant, admin="support")
    async def ask_grant(self, turn: Turn, data: AskGrant) -> None:
        plan = view_of(self.services, turn).label("plan", data.plan)
        await self._ask_why(turn, GRANT, data, "granting.ask_grant", plan=plan, limit=MAX_DAYS)

    @text_input(GRANT, admin="support")
    async def typed_grant(self, turn: Turn, payload: str) -> None:
        data, read, view = AskGrant.unpack(payload), _DAYS_AND_WHY.fullmatch(turn.text), view_of(self.services, turn)
        if read is not None and int(read[1]) > MAX_DAYS:
            example = f"{MAX_DAYS} {read[2][:_SHOWN]}"
            error = UserFacingError("number.out_of_range", typed=read[1], largest=MAX_DAYS, expected=example)
            await self.ask_again(turn, error)
            return
        if read is None or int(read[1]) < 1:
            await self.ask_again(turn, UserFacingError("granting.unreadable", limit=MAX_DAYS))
            return
        who, days = await self.services.of(PeopleService).require(data.user_id), int(read[1])
        plan, why = view.label("plan", data.plan), read[2][:_SHOWN]
        text = view.html("granting.sure_grant", days=days, plan=plan, name=who.name, user_id=who.user_id, why=why)
        yes = Grant(data.user_id, data.plan, days)
        await self._ask_whether(turn, text, "button.grant_yes", yes, typed=read[2])

    @callback(Grant, admin="support", acts="grant plan", confirmed=True)
    async def grant(self, turn: Turn, data: Grant) -> str:
        await self.services.of(PeopleService).require(data.user_id)
        await self.services.of(GrantingService).grant(data.user_id, data.plan, data.days, turn.number)
        await self._show_subscription(turn, data.user_id)
        return view_of(self.services, turn).plain("value.granted", days=data.days)

    @callback(AskRevoke, admin="support")
    async def ask_revoke(self, turn: Turn, data: AskRevoke) -> None:
        await self.services.of(GrantingService).require_left(data.user_id, moving=False)
        await self._ask_why(turn, REVOKE, data, "granting.ask_revoke")

    @text_input(REVOKE, admin="support")
    async def typed_revoke(self, turn: Turn, payload: str) -> None:
        data, view = AskRevoke.unpack(payload), view_of(self.services, turn)
        who = await self.services.of(PeopleService).require(data.user_id)
        text = view.html("granting.sure_revoke", name=who.name, user_id=who.user_id, why=turn.text[:_SHOWN])
        await self._ask_whether(turn, text, "button.revoke_yes", Revoke(data.user_id), typed=turn.text)

    @callback(Revoke, admin="support", acts="revoke plan", confirmed=True)
    async def revoke(self, turn: Turn, data: Revoke) -> str:
        await self.services.of(PeopleService).require(data.user_id)
        days = await self.services.of(GrantingService).revoke(data.user_id, turn.number)
        await self._show_subscription(turn, data.user_id)
        return view_of(self.services, turn).plain("value.revoked", days=days)

    @callback(AskMove, admin="support")
    async def ask_move(self, turn: Turn, data: AskMove) -> None:
        await self.services.of(GrantingService).require_left(data.user_id, moving=True)
        await self._ask_why(turn, MOVE, data, "granting.ask_move")

    @text_input(MOVE, admin="support")
    async def typed_move(self, turn: Turn, payload: str) -> None:
        data, read = AskMove.unpack(payload), _WHOM_AND_WHY.fullmatch(turn.text)
        people, view = self.services.of(PeopleService), view_of(self.services, turn)
        if read is None:
            await self.ask_again(turn, UserFacingError("granting.whom"))
            return
        try:
            to, who = await people.one_meant(read[1], None), await people.require(data.user_id)
        except UserFacingError as error:
            await self.ask_again(turn, error)
            return
        if to.user_id == who.user_id:
            await self.ask_again(turn, UserFacingError("granting.same"))
            return
        told = {"name": who.name, "user_id": who.user_id, "to": to.name, "to_id": to.user_id}
        text = view.html("granting.sure_move", **told, why=read[2][:_SHOWN])
        await self._ask_whether(turn, text, "button.move_yes", Move(who.user_id, to.user_id), typed=read[2])

    @callback(Move, admin="support", acts="move plan", confirmed=True)
    async def move(self, turn: Turn, data: Move) -> str:
        for user_id in (data.user_id, data.to_id):
            await self.services.of(PeopleService).require(user_id)
        days = await self.services.of(GrantingService).move(data.user_id, data.to_id, turn.number)
        await self._show_subscription(turn, data.user_id)
        return view_of(self.services, turn).plain("value.moved", days=days)

    async def _ask_why(
        self, turn: Turn, kind: str, data: AskGrant | AskRevoke | AskMove, key: str, **told: object
    ) -> None:
        who, view = await self.services.of(PeopleService).require(data.user_id), view_of(self.services, turn)
        await self.services.conversation.inputs.expect(turn.user_id, kind, data.pack())
        back = (view.button("button.back", ShowSubscription(data.user_id)),)
        await self.show(turn, message(view.html(key, name=who.name, **told), keyboard=(back,)))

    async def _ask_whether(self, turn: Turn, text: Html, key: str, yes: Grant | Revoke | Move, *, typed: str) -> None:
        await self.services.conversation.inputs.cancel(turn.user_id)
        back = ShowSubscription(yes.user_id)
        await self.reply(
            turn, await asked_twice(self.services, turn, text, yes_key=key, yes=yes, back=back, typed=typed)
        )
