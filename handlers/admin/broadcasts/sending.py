"""What admins let go to many: when it begins, and that it pauses, goes on or ends."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from domain.broadcasts.times import read_moment
from handlers.admin.broadcasts.buttons import (
    AskBegin,
    AskCancel,
    AskMoment,
    BeginBroadcast,
    CancelBroadcast,
    PauseBroadcast,
    ResumeBroadcast,
    ScheduleBroadcast,
    ShowBroadcast,
    UnscheduleBroadcast,
)
from handlers.admin.broadcasts.menus import audience_name, broadcast_card, shown, to_card
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.confirming import asked_twice
from handlers.conversation.menus import View, message, view_of
from handlers.conversation.routing import callback, text_input
from runtime.errors import UserFacingError
from services.broadcasts.broadcasts import BroadcastService, Standing
from texts.markup import Html

MOMENT: Final = "broadcast_when"
"""Kind of question; the payload is the packed data of the button that asked."""


class AdminBroadcastSendingMixin(BotBase):
    @callback(AskBegin, admin="owner")
    async def ask_begin(self, turn: Turn, data: AskBegin) -> None:
        view, standing = view_of(self.services, turn), await self._require_open(data.broadcast_id)
        text = _sure(view, standing, "broadcast.sure_begin")
        yes, back = BeginBroadcast(data.broadcast_id), ShowBroadcast(data.broadcast_id)
        await self.show(
            turn, await asked_twice(self.services, turn, text, yes_key="button.begin_yes", yes=yes, back=back)
        )

    @callback(BeginBroadcast, admin="owner", acts="send broadcast", confirmed=True)
    async def begin_broadcast(self, turn: Turn, data: BeginBroadcast) -> str:
        await self.services.of(BroadcastService).begin(data.broadcast_id)
        await self._follow(turn, data.broadcast_id)
        return view_of(self.services, turn).plain("value.begun")

    @callback(AskMoment, admin="owner")
    async def ask_moment(self, turn: Turn, data: AskMoment) -> None:
        await self._require_open(data.broadcast_id)
        await self.services.conversation.inputs.expect(turn.user_id, MOMENT, data.pack())
        view, zone = view_of(self.services, turn), await self._zone(turn)
        ask = view.html("broadcast.ask_when", zone=zone)
        await self.show(turn, message(ask, keyboard=((to_card(view, data.broadcast_id),),)))

    @text_input(MOMENT, admin="owner")
    async def typed_moment(self, turn: Turn, payload: str) -> None:
        data, view = AskMoment.unpack(payload), view_of(self.services, turn)
        try:
            standing = await self._require_open(data.broadcast_id)
            at = read_moment(turn.text, self.services.conversation.clock(), await self._zone(turn))
        except UserFacingError as error:
            await self.ask_again(turn, error)
            return
        await self.services.conversation.inputs.cancel(turn.user_id)
        text = _sure(view, standing, "broadcast.sure_schedule", at=shown(at))
        yes = ScheduleBroadcast(data.broadcast_id, int(at.timestamp()))
        back = ShowBroadcast(data.broadcast_id)
        await self.reply(
            turn, await asked_twice(self.services, turn, text, yes_key="button.schedule_yes", yes=yes, back=back)
        )

    @callback(ScheduleBroadcast, admin="owner", acts="schedule broadcast", confirmed=True)
    async def schedule_broadcast(self, turn: Turn, data: ScheduleBroadcast) -> str:
        at = datetime.fromtimestamp(data.at_s, UTC)
        await self.services.of(BroadcastService).schedule(data.broadcast_id, at)
        await self._follow(turn, data.broadcast_id)
        return view_of(self.services, turn).plain("value.scheduled", at=shown(at))

    @callback(UnscheduleBroadcast, admin="owner", acts="unschedule broadcast")
    async def unschedule_broadcast(self, turn: Turn, data: UnscheduleBroadcast) -> None:
        await self.services.of(BroadcastService).unschedule(data.broadcast_id)
        await self._follow(turn, data.broadcast_id)

    @callback(PauseBroadcast, admin="owner", acts="pause broadcast")
    async def pause_broadcast(self, turn: Turn, data: PauseBroadcast) -> None:
        await self.services.of(BroadcastService).pause(data.broadcast_id)
        await self._follow(turn, data.broadcast_id)

    @callback(ResumeBroadcast, admin="owner", acts="resume broadcast")
    async def resume_broadcast(self, turn: Turn, data: ResumeBroadcast) -> None:
        await self.services.of(BroadcastService).resume(data.broadcast_id)
        await self._follow(turn, data.broadcast_id)

    @callback(AskCancel, admin="owner")
    async def ask_cancel(self, turn: Turn, data: AskCancel) -> None:
        view, standing = view_of(self.services, turn), await self._require_open(data.broadcast_id)
        text = _sure(view, standing, "broadcast.sure_cancel")
        yes, back = CancelBroadcast(data.broadcast_id), ShowBroadcast(data.broadcast_id)
        await self.show(
            turn, await asked_twice(self.services, turn, text, yes_key="button.end_yes", yes=yes, back=back)
        )

    @callback(CancelBroadcast, admin="owner", acts="cancel broadcast", confirmed=True)
    async def cancel_broadcast(self, turn: Turn, data: CancelBroadcast) -> None:
        await self.services.of(BroadcastService).cancel(data.broadcast_id)
        await self._follow(turn, data.broadcast_id)

    async def _require_open(self, broadcast_id: str) -> Standing:
        standing = await self.services.of(BroadcastService).standing(broadcast_id)
        if standing.broadcast.state in {"done", "cancelled"}:
            raise UserFacingError("broadcast.not_now")
        return standing

    async def _follow(self, turn: Turn, broadcast_id: str) -> None:
        """Show it, and from now on in this message how far it has come."""
        broadcasts = self.services.of(BroadcastService)
        standing = await broadcasts.standing(broadcast_id)
        message_id = await self.show(turn, broadcast_card(view_of(self.services, turn), standing))
        await broadcasts.show_in(broadcast_id, turn.chat_id, message_id)

    async def _zone(self, turn: Turn) -> str:
        found = await self.services.subscribers.subscribers.find(turn.user_id)
        return found.preferences.time_zone if found else "UTC"


def _sure(view: View, standing: Standing, key: str, **told: object) -> Html:
    people = standing.counts.left if standing.people is None else standing.people
    audience = audience_name(view, standing.broadcast.audience)
    return view.html(key, people=f"{people:,}", audience=audience, **told)
