"""Records corrected by admins: a call of the wrong token, pool or price, or a repost, counts no more, or otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Final

from domain.buttons.data import CallbackData
from domain.delivery.messages import Message
from domain.filters.numbers import show_short
from domain.filters.shown import show_price
from handlers.admin.menu import OpenAdmin
from handlers.admin.running.buttons import ShowAdminChannel
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.confirming import asked_twice
from handlers.conversation.menus import View, in_rows, message, view_of
from handlers.conversation.routing import callback, command, text_input
from runtime.errors import UserFacingError
from services.tracking.records.corrections import ACTIONS, Action, CorrectedCall, Correction, typed_price
from services.tracking.records.group import RecordServices
from texts.markup import Html

OF_WHICH: Final = "correct_which"
WHICH_PRICE: Final = "correct_price"
"""Kinds of questions; the payload of the second is the packed data of the button that asked."""


class AskCorrected(CallbackData, frozen=True, array_like=True):
    """Ask for the token."""

    prefix: ClassVar[str] = "correct"


class ShowCalls(CallbackData, frozen=True, array_like=True):
    """The latest calls of a call's token."""

    prefix: ClassVar[str] = "corcalls"
    number: int


class ShowChannelCall(CallbackData, frozen=True, array_like=True):
    """A call, from its channel."""

    prefix: ClassVar[str] = "corchannel"
    number: int
    tag: str


class ShowCorrected(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "corcall"
    number: int
    """Of the call, here and below."""


class AskCorrection(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "corask"
    number: int
    action: str
    """`services.tracking.records.corrections.Action`"""


class ConfirmCorrection(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "coryes"
    number: int
    action: str
    price: str
    """Empty where it is not about the price."""


class AdminCorrectionsMixin(BotBase):
    @command("correct", help="help.correct", admin="read_only", topic="calls")
    async def correct(self, turn: Turn) -> None:
        await self.services.conversation.inputs.expect(turn.user_id, OF_WHICH, "")
        view = view_of(self.services, turn)
        back = (view.button("button.back", OpenAdmin("")),)
        await self.show(turn, message(view.html("correct.ask_token"), keyboard=(back,)))

    @callback(AskCorrected, admin="read_only")
    async def ask_corrected(self, turn: Turn, _data: AskCorrected) -> None:
        await self.correct(turn)

    @text_input(OF_WHICH, admin="read_only")
    async def typed_token(self, turn: Turn, _payload: str) -> None:
        """Offer the token's calls; an unknown one leaves the question open."""
        view = view_of(self.services, turn)
        try:
            calls = await self.services.of(RecordServices).corrections.calls_of(turn.text)
        except UserFacingError as error:
            await self.ask_again(turn, error)
            return
        await self.services.conversation.inputs.cancel(turn.user_id)
        await self.reply(turn, _calls_menu(view, calls, self._ago))

    @callback(ShowCalls, admin="read_only")
    async def show_calls(self, turn: Turn, data: ShowCalls) -> None:
        corrections = self.services.of(RecordServices).corrections
        calls = await corrections.calls_of((await corrections.call(data.number)).token_address)
        await self.show(turn, _calls_menu(view_of(self.services, turn), calls, self._ago))

    @callback(ShowChannelCall, admin="read_only")
    async def show_channel_call(self, turn: Turn, data: ShowChannelCall) -> None:
        await self._show_corrected(turn, data.number, ShowAdminChannel(data.tag))

    @callback(ShowCorrected, admin="read_only")
    async def show_corrected(self, turn: Turn, data: ShowCorrected) -> None:
        await self._show_corrected(turn, data.number)

    async def _show_corrected(self, turn: Turn, number: int, back: CallbackData | None = None) -> None:
        corrections = self.services.of(RecordServices).corrections
        call = await corrections.call(number)
        history = await corrections.history(call)
        await self.show(turn, _call_menu(view_of(self.services, turn), call, history, back or ShowCalls(number)))

    @callback(AskCorrection, admin="owner")
    async def ask_correction(self, turn: Turn, data: AskCorrection) -> None:
        view, action = view_of(self.services, turn), _action(data.action)
        call = await self.services.of(RecordServices).corrections.call(data.number)
        if action == "price":
            await self.services.conversation.inputs.expect(turn.user_id, WHICH_PRICE, data.pack())
            back = view.button("button.back", ShowCorrected(call.number))
            asked = view.html(f"correct.ask.{call.measure}", price=_measured(call, call.price_usd))
            await self.show(turn, message(asked, keyboard=((back,),)))
            return
        await self._ask_correction(turn, call, action, "")

    @text_input(WHICH_PRICE, admin="owner")
    async def typed_right_price(self, turn: Turn, payload: str) -> None:
        try:
            price = typed_price(turn.text)
        except UserFacingError as error:
            await self.ask_again(turn, error)
            return
        call = await self.services.of(RecordServices).corrections.call(AskCorrection.unpack(payload).number)
        await self.services.conversation.inputs.cancel(turn.user_id)
        await self._ask_correction(turn, call, "price", repr(price))

    async def _ask_correction(self, turn: Turn, call: CorrectedCall, action: Action, price: str) -> None:
        view = view_of(self.services, turn)
        shown = _measured(call, float(price)) if price else ""
        text = view.html(
            "correct.sure", name=_name(view, call), what=view.plain(f"value.correct.{action}", price=shown)
        )
        yes, back = ConfirmCorrection(call.number, action, price), ShowCorrected(call.number)
        asked = await asked_twice(self.services, turn, text, yes_key="button.correct_yes", yes=yes, back=back)
        await self.show(turn, asked)

    @callback(ConfirmCorrection, admin="owner", acts="correct call", confirmed=True)
    async def confirm_correction(self, turn: Turn, data: ConfirmCorrection) -> str:
        price_usd = typed_price(data.price) if data.price else None
        corrections = self.services.of(RecordServices).corrections
        changed = await corrections.correct(data.number, _action(data.action), turn.user_id, price_usd=price_usd)
        await self._show_corrected(turn, data.number)
        return view_of(self.services, turn).plain("value.corrected" if changed else "value.correct_stands")

    def _ago(self, call: CorrectedCall) -> str:
        now = self.services.conversation.clock()
        return show_short(max(0.0, (now - call.called_at).total_seconds()), "duration")


def _calls_menu(view: View, calls: list[CorrectedCall], ago: Callable[[CorrectedCall], str]) -> Message:
    buttons = (
        view.button(
            "button.correct_call",
            ShowCorrected(call.number),
            sign="✗" if call.excluded else "✓",
            channel=call.channel,
            multiple=show_short(call.multiple, "multiple"),
            ago=ago(call),
        )
        for call in calls
    )
    text = view.html("correct.calls", name=_name(view, calls[0]), address=calls[0].token_address)
    back = (view.button("button.back", AskCorrected()),)
    return message(text, keyboard=(*in_rows(buttons, 1), back))


def _call_menu(view: View, call: CorrectedCall, history: list[Correction], back: CallbackData) -> Message:
    if call.excluded is not None:
        state = view.html("correct.excluded", why=view.plain(f"value.correct.{call.excluded}", price=""))
    else:
        state = view.html("correct.counts", multiple=show_short(call.multiple, "multiple"))
    actions = [action for action in ACTIONS if action != call.excluded]
    if call.excluded is None and call.scale == 1.0:
        actions.remove("restore")
    buttons = (view.button(f"button.correct.{action}", AskCorrection(call.number, action)) for action in actions)
    return message(
        view.html(
            "correct.call",
            name=_name(view, call),
            address=call.token_address,
            channel=call.channel,
            at=f"{call.called_at:%d %b %Y, %H:%M} UTC",
            price=_measured(call, call.price_usd),
        ),
        state,
        view.listed(_correction(view, call, one) for one in history),
        keyboard=(*in_rows(buttons, 2), (view.button("button.back", back),)),
    )


def _correction(view: View, call: CorrectedCall, one: Correction) -> Html:
    price = _measured(call, float(one.reason)) if one.reason else ""
    return view.html(
        "correct.history",
        at=f"{one.corrected_at:%d %b, %H:%M}",
        admin=one.admin_id,
        what=view.plain(f"value.correct.{one.action}", price=price),
    )


def _name(view: View, call: CorrectedCall) -> str:
    return call.symbol or view.plain("value.unnamed_token")


def _measured(call: CorrectedCall, value: float) -> str:
    shown = show_price(value) if call.measure == "price" else show_short(value, "usd")
    return shown or "?"


def _action(typed: str) -> Action:
    if typed not in ACTIONS:
        raise UserFacingError("callback.stale")
    return typed
