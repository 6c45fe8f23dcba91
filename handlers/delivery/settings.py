"""How alerts are delivered: when, how many, how loud, how they look and where."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final, cast

from msgspec.structs import replace

from domain.buttons.cards import MuteToken
from domain.calls.addresses import is_address
from domain.delivery.messages import Message
from domain.delivery.policy import mute, parse_cap, parse_pass_score, snooze_until_morning, unmute
from domain.delivery.quiet import parse_quiet_hours
from domain.subscribers.subscriber import (
    ALL_BUTTONS,
    CardButton,
    CardField,
    Destination,
    MessageKind,
    Preferences,
    QuietHours,
    Subscriber,
)
from domain.subscribers.zones import parse_time_zone
from handlers.conversation.base import BotBase, GroupChat, Turn
from handlers.conversation.menus import message, view_of
from handlers.conversation.routing import callback, command, text_input
from handlers.delivery import menus
from handlers.delivery.buttons import (
    AskDelivery,
    ClearDelivery,
    DeliverPrivately,
    SetCardButton,
    SetCardField,
    SetCompact,
    SetSound,
    ShowCard,
    ShowDelivery,
    ShowMuted,
    ShowSnooze,
    ShowSounds,
    Snooze,
    UnmuteToken,
)
from runtime.errors import UserFacingError
from texts.markup import Html

TYPED: Final = "delivery"
"""Kind of the question that a typed setting answers; its payload is what was asked for."""
MUTED_FOR: Final = timedelta(days=1)
_DEFAULT_QUIET: Final = QuietHours(start_minute=23 * 60, end_minute=7 * 60)
"""For who sets the level before the hours."""

Change = Callable[[Preferences], Preferences]


def _typed_change(what: str, text: str) -> Change:
    """Read what was typed as a change. Raises `UserFacingError`."""
    match what:
        case "zone":
            zone = parse_time_zone(text)
            return lambda p: replace(p, time_zone=zone)
        case "quiet":
            start, end = parse_quiet_hours(text)
            return lambda p: replace(p, quiet=replace(p.quiet or _DEFAULT_QUIET, start_minute=start, end_minute=end))
        case "level":
            level = parse_pass_score(text)
            return lambda p: replace(p, quiet=replace(p.quiet or _DEFAULT_QUIET, pass_score=level))
        case "cap":
            cap = parse_cap(text)
            return lambda p: replace(p, alerts_per_hour=cap)
        case _:
            raise UserFacingError("callback.stale")


_CLEARED: Final[dict[str, Change]] = {
    "zone": lambda p: replace(p, time_zone="UTC"),
    "quiet": lambda p: replace(p, quiet=None),
    "level": lambda p: replace(p, quiet=p.quiet and replace(p.quiet, pass_score=101)),
    "cap": lambda p: replace(p, alerts_per_hour=None),
}


def _known(value: str, values: tuple[str, ...]) -> str:
    """Take only what a button of ours could have said."""
    if value not in values:
        raise UserFacingError("callback.stale")
    return value


class DeliveryMixin(BotBase):
    """Time zone, quiet hours, caps, sounds, snoozes, mutes, cards and destination."""

    async def _show_delivery(self, turn: Turn, subscriber: Subscriber, note: Html | None = None) -> None:
        await self.show(
            turn,
            menus.delivery_menu(view_of(self.services, turn), subscriber, self.services.conversation.clock(), note),
        )

    async def _preferences(self, turn: Turn) -> Preferences:
        return (await self.services.subscribers.subscribers.require(turn.user_id)).preferences

    async def _change_preferences(self, turn: Turn, change: Change) -> Preferences:
        return (await self.services.subscribers.subscribers.change_preferences(turn.user_id, change)).preferences

    @command("delivery", help="help.delivery")
    async def delivery(self, turn: Turn) -> None:
        await self._show_delivery(turn, await self.services.subscribers.subscribers.require(turn.user_id))

    @callback(ShowDelivery)
    async def show_delivery(self, turn: Turn, _data: ShowDelivery) -> None:
        await self._show_delivery(turn, await self.services.subscribers.subscribers.require(turn.user_id))

    @callback(AskDelivery)
    async def ask_delivery(self, turn: Turn, data: AskDelivery) -> None:
        what = _known(data.what, tuple(_CLEARED))
        await self.services.subscribers.subscribers.require(turn.user_id)
        await self.services.conversation.inputs.expect(turn.user_id, TYPED, what)
        await self.show(turn, menus.question(view_of(self.services, turn), what))

    @text_input(TYPED)
    async def typed_delivery(self, turn: Turn, payload: str) -> None:
        try:
            change = _typed_change(payload, turn.text)
        except UserFacingError as error:
            view = view_of(self.services, turn)
            await self.services.conversation.inputs.expect(turn.user_id, TYPED, payload)
            await self.reply(turn, menus.refused(view, payload, view.html(error.key, **error.arguments)))
            return
        subscriber = await self.services.subscribers.subscribers.change_preferences(turn.user_id, change)
        await self.services.conversation.inputs.cancel(turn.user_id)
        await self._show_delivery(turn, subscriber, view_of(self.services, turn).html("delivery.saved"))

    @callback(ClearDelivery)
    async def clear_delivery(self, turn: Turn, data: ClearDelivery) -> None:
        change = _CLEARED[_known(data.what, tuple(_CLEARED))]
        await self._show_delivery(
            turn, await self.services.subscribers.subscribers.change_preferences(turn.user_id, change)
        )

    @callback(ShowSounds)
    async def show_sounds(self, turn: Turn, _data: ShowSounds) -> None:
        await self.show(turn, menus.sounds_menu(view_of(self.services, turn), await self._preferences(turn)))

    @callback(SetSound)
    async def set_sound(self, turn: Turn, data: SetSound) -> None:
        kind = cast("MessageKind", _known(data.kind, menus.KINDS))

        def change(preferences: Preferences) -> Preferences:
            silent = preferences.silent - {kind} if data.audible else preferences.silent | {kind}
            return replace(preferences, silent=silent)

        preferences = await self._change_preferences(turn, change)
        await self.show(turn, menus.sounds_menu(view_of(self.services, turn), preferences))

    @callback(ShowSnooze)
    async def show_snooze(self, turn: Turn, _data: ShowSnooze) -> None:
        preferences = await self._preferences(turn)
        await self.show(
            turn, menus.snooze_menu(view_of(self.services, turn), preferences, self.services.conversation.clock())
        )

    @callback(Snooze)
    async def snooze(self, turn: Turn, data: Snooze) -> None:
        now = self.services.conversation.clock()
        choice = _known(data.how_long, ("1h", "8h", "morning", "off"))

        def change(preferences: Preferences) -> Preferences:
            if choice == "morning":
                return replace(preferences, snoozed_until=snooze_until_morning(preferences, now))
            hours = {"1h": 1, "8h": 8}.get(choice)
            return replace(preferences, snoozed_until=hours and now + timedelta(hours=hours))

        await self._show_delivery(
            turn, await self.services.subscribers.subscribers.change_preferences(turn.user_id, change)
        )

    @callback(ShowMuted)
    async def show_muted(self, turn: Turn, data: ShowMuted) -> None:
        preferences, now = await self._preferences(turn), self.services.conversation.clock()
        await self.show(turn, menus.muted_menu(view_of(self.services, turn), preferences, data.page, now))

    @callback(MuteToken)
    async def mute_token(self, turn: Turn, data: MuteToken) -> str:
        if not is_address(data.address):
            raise UserFacingError("callback.stale")
        until = self.services.conversation.clock() + MUTED_FOR
        await self._change_preferences(turn, lambda p: mute(p, data.address, until))
        return view_of(self.services, turn).plain("delivery.token_muted")

    @callback(UnmuteToken)
    async def unmute_token(self, turn: Turn, data: UnmuteToken) -> str:
        preferences = await self._change_preferences(turn, lambda p: unmute(p, data.address))
        view = view_of(self.services, turn)
        await self.show(turn, menus.muted_menu(view, preferences, data.page, self.services.conversation.clock()))
        return view.plain("delivery.token_unmuted")

    @callback(ShowCard)
    async def show_card(self, turn: Turn, _data: ShowCard) -> None:
        await self._show_card(turn, await self._preferences(turn))

    @callback(SetCompact)
    async def set_compact(self, turn: Turn, data: SetCompact) -> None:
        def change(preferences: Preferences) -> Preferences:
            return replace(preferences, card=replace(preferences.card, compact=data.compact))

        await self._show_card(turn, await self._change_preferences(turn, change))

    @callback(SetCardField)
    async def set_card_field(self, turn: Turn, data: SetCardField) -> None:
        field = cast("CardField", _known(data.field, menus.FIELDS))

        def change(preferences: Preferences) -> Preferences:
            hidden = preferences.card.hidden - {field} if data.shown else preferences.card.hidden | {field}
            return replace(preferences, card=replace(preferences.card, hidden=hidden))

        await self._show_card(turn, await self._change_preferences(turn, change))

    @callback(SetCardButton)
    async def set_card_button(self, turn: Turn, data: SetCardButton) -> None:
        chosen = cast("CardButton", _known(data.button, ALL_BUTTONS))

        def change(preferences: Preferences) -> Preferences:
            kept = {*preferences.card.buttons, chosen} if data.shown else {*preferences.card.buttons} - {chosen}
            buttons = tuple(button for button in ALL_BUTTONS if button in kept)
            return replace(preferences, card=replace(preferences.card, buttons=buttons))

        await self._show_card(turn, await self._change_preferences(turn, change))

    async def _show_card(self, turn: Turn, preferences: Preferences) -> None:
        await self.show(turn, menus.card_menu(view_of(self.services, turn), preferences))

    @callback(DeliverPrivately)
    async def deliver_privately(self, turn: Turn, _data: DeliverPrivately) -> None:
        subscriber = await self.services.subscribers.subscribers.change_preferences(
            turn.user_id, lambda p: replace(p, destination=None)
        )
        await self._show_delivery(turn, subscriber)

    @command("deliver_here", help="help.deliver_here", groups=True)
    async def deliver_here(self, turn: Turn) -> None:
        """In a group: alerts of an administrator come here from now on. In the private chat: back there."""
        group, view = turn.group, view_of(self.services, turn)
        if group is None:
            await self._change_preferences(turn, lambda p: replace(p, destination=None))
            await self.reply(turn, message(view.html("delivery.here_private")))
            return
        key = await self._choose_group(turn, group)
        await self.reply(turn, Message(html=str(view.html(key)), thread_id=group.thread_id))

    async def _choose_group(self, turn: Turn, group: GroupChat) -> str:
        if await self.services.subscribers.subscribers.find(turn.user_id) is None:
            return "delivery.here_unknown"
        if not await self.services.conversation.permissions.administers(group.chat_id, turn.user_id):
            return "delivery.here_refused"
        place = Destination(chat_id=group.chat_id, thread_id=group.thread_id, title=group.title[:128])
        await self._change_preferences(turn, lambda p: replace(p, destination=place))
        return "delivery.here_done"
