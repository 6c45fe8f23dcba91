"""Read-only mode, calls that wait, draining, and what is turned off: for everybody, until it is ended here."""

from __future__ import annotations

from typing import Final, cast

import structlog

from domain.admins.controls import FEATURES, WHOLE, Control, ControlName, is_known
from domain.delivery.messages import Button, Message
from handlers.admin.running.buttons import AskControl, LiftControl, PutControl, ShowMaintenance
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.confirming import asked_twice
from handlers.conversation.menus import View, in_rows, message, view_of
from handlers.conversation.routing import callback, command, text_input
from runtime.errors import TransientError, UserFacingError
from services.running.controls import Controls
from services.running.processes import Left, Processes
from texts.markup import Html, cut

log = structlog.get_logger(__name__)

WHY: Final = "maintenance_why"
"""Kind of question."""
MAX_WHY_UTF16: Final = 80


class AdminMaintenanceMixin(BotBase):
    @command("maintenance", help="help.maintenance", admin="read_only", topic="bot")
    async def maintenance(self, turn: Turn) -> None:
        view, controls = view_of(self.services, turn), self.services.of(Controls)
        try:
            left = await self.services.of(Processes).left()
        except TransientError as error:
            log.warning("left_unknown", reason=str(error))
            left = None
        await self.show(turn, _menu(view, controls, left))

    @callback(ShowMaintenance, admin="read_only")
    async def show_maintenance(self, turn: Turn, _data: ShowMaintenance) -> None:
        await self.maintenance(turn)

    @callback(AskControl, admin="owner")
    async def ask_control(self, turn: Turn, data: AskControl) -> None:
        name, view = _known(data), view_of(self.services, turn)
        if name == "read_only":
            await self.services.conversation.inputs.expect(turn.user_id, WHY, "")
            back = (view.button("button.back", ShowMaintenance()),)
            await self.show(turn, message(view.html("maintenance.ask_why", limit=MAX_WHY_UTF16), keyboard=(back,)))
            return
        text = view.html(f"maintenance.sure.{name}", what=_what(view, name, data.subject))
        await self.show(turn, await self._whether(turn, text, PutControl(name, data.subject), ""))

    @text_input(WHY, admin="owner")
    async def typed_why(self, turn: Turn, _payload: str) -> None:
        why = cut(" ".join(turn.text.split()), MAX_WHY_UTF16)
        await self.services.conversation.inputs.cancel(turn.user_id)
        text = view_of(self.services, turn).html("maintenance.sure.read_only", why=why)
        await self.reply(turn, await self._whether(turn, text, PutControl("read_only", ""), why))

    async def _whether(self, turn: Turn, text: Html, yes: PutControl, typed: str) -> Message:
        key = f"button.control_yes.{yes.control}"
        return await asked_twice(self.services, turn, text, yes_key=key, yes=yes, back=ShowMaintenance(), typed=typed)

    @callback(PutControl, admin="owner", acts="turn off", confirmed=True)
    async def put_control(self, turn: Turn, data: PutControl) -> str:
        await self.services.of(Controls).put(_known(data), data.subject, turn.text, turn.user_id)
        await self.maintenance(turn)
        return view_of(self.services, turn).plain("value.control_put")

    @callback(LiftControl, admin="owner", acts="turn on")
    async def lift_control(self, turn: Turn, data: LiftControl) -> str:
        stood = await self.services.of(Controls).lift(_known(data), data.subject, turn.user_id)
        await self.maintenance(turn)
        return view_of(self.services, turn).plain("value.control_lifted" if stood else "value.control_stood_not")


def _known(data: AskControl | PutControl | LiftControl) -> ControlName:
    if not is_known(data.control, data.subject):
        raise UserFacingError("callback.stale")
    return cast("ControlName", data.control)


def _what(view: View, name: ControlName, subject: str) -> str:
    if name == "feature":
        return view.label("feature", subject)
    return f"{view.label('control', name)} {subject}".strip()


def _menu(view: View, controls: Controls, left: Left | None) -> Message:
    standing = controls.told()
    lines = view.listed(_line(view, one) for one in standing) or view.html("maintenance.nothing")
    on_its_way = view.html(
        "maintenance.left",
        undecided="?" if left is None else f"{left.undecided:,}",
        unsent="?" if left is None else f"{left.unsent:,}",
    )
    is_empty = controls.stands("drain") and left is not None and not (left.undecided or left.unsent)
    drained = view.html("maintenance.drained") if is_empty else Html()
    return message(
        view.html("maintenance.main", standing=lines),
        on_its_way,
        drained,
        keyboard=(
            *in_rows((_button(view, controls, name, "") for name in WHOLE), 1),
            *in_rows((_button(view, controls, "feature", one) for one in FEATURES), 2),
            (view.button("button.refresh", ShowMaintenance()),),
        ),
    )


def _line(view: View, one: Control) -> Html:
    what, since = _what(view, one.name, one.subject), f"{one.since:%d %b, %H:%M}"
    return view.html("maintenance.line", what=what, since=since, admin_id=one.admin_id, reason=one.reason)


def _button(view: View, controls: Controls, name: ControlName, subject: str) -> Button:
    what = _what(view, name, subject)
    if controls.stands(name, subject):
        return view.button("button.control_lift", LiftControl(name, subject), what=what)
    return view.button("button.control_put", AskControl(name, subject), what=what)
