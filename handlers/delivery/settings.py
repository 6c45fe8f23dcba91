"""How alerts are delivered: when, how many, how loud, how they look and where."""

from __future__ import annotations

from typing import Final

from domain.calls.venues import Venues
from domain.delivery import changes
from domain.delivery.changes import Change
from domain.delivery.messages import Message
from domain.delivery.policy import quiet_at
from domain.reading.typed import Unsure
from domain.subscribers.subscriber import Destination, Preferences, Subscriber
from handlers.conversation.base import BotBase, Turn, WrittenAs
from handlers.conversation.menus import lines, message, view_of
from handlers.conversation.routing import callback, command, text_input
from handlers.delivery import menus
from handlers.delivery.buttons import (
    AskDelivery,
    ClearDelivery,
    DeliverPrivately,
    EndQuiet,
    SetCardButton,
    SetCardField,
    SetCompact,
    SetSound,
    ShowCard,
    ShowDelivery,
    ShowSnooze,
    ShowSounds,
    Snooze,
    TakeSetting,
)
from handlers.delivery.standing import subscriber_state, what_comes, what_waits
from runtime.errors import UserFacingError
from services.subscribers.destinations import Outcome, deliver_to_group
from texts.markup import Html

TYPED: Final = "delivery"
"""Kind of the question that a typed setting answers; its payload is what was asked for."""
_GROUP_ANSWERS: Final[dict[Outcome | WrittenAs, str]] = {
    "done": "delivery.here_done",
    "unknown": "delivery.here_unknown",
    "refused": "delivery.here_refused",
    "group": "delivery.here_as_group",
    "channel": "delivery.here_as_channel",
}


class DeliveryMixin(BotBase):
    """Time zone, quiet hours, caps, sounds, snoozes, cards and destination."""

    async def _show_delivery(self, turn: Turn, subscriber: Subscriber, note: Html | None = None) -> None:
        view, now = view_of(self.services, turn), self.services.conversation.clock()
        state = await subscriber_state(self.services, view, subscriber, in_delivery=True)
        included = self._included(subscriber)
        await self.show(turn, menus.delivery_menu(view, subscriber, now, included=included, state=state, note=note))

    def _included(self, subscriber: Subscriber) -> int | None:
        """Return how many alerts an hour their plan has, `None` for any."""
        return self.services.plans.subscriptions.plans.of(subscriber.plan).alerts_per_hour

    async def _preferences(self, turn: Turn) -> Preferences:
        return (await self.services.subscribers.subscribers.require(turn.user_id)).preferences

    async def _change_preferences(self, turn: Turn, change: Change) -> Preferences:
        return (await self.services.subscribers.subscribers.change_preferences(turn.user_id, change)).preferences

    @command("delivery", help="help.delivery", goes_on=True)
    async def delivery(self, turn: Turn) -> None:
        await self._show_delivery(turn, await self.services.subscribers.subscribers.require(turn.user_id))

    @callback(ShowDelivery, goes_on=True)
    async def show_delivery(self, turn: Turn, _data: ShowDelivery) -> None:
        await self._show_delivery(turn, await self.services.subscribers.subscribers.require(turn.user_id))

    @callback(AskDelivery)
    async def ask_delivery(self, turn: Turn, data: AskDelivery) -> None:
        what = changes.typed_setting(data.what)
        subscriber = await self.services.subscribers.subscribers.require(turn.user_id)
        await self.services.conversation.inputs.expect(turn.user_id, TYPED, what)
        await self.show(turn, self._question(turn, what, subscriber))

    def _question(self, turn: Turn, what: str, subscriber: Subscriber) -> Message:
        view, now = view_of(self.services, turn), self.services.conversation.clock()
        quiet = quiet_at(subscriber.preferences, now) if what == "quiet" else None
        return menus.question(view, what, self._included(subscriber), quiet)

    @text_input(TYPED)
    async def typed_delivery(self, turn: Turn, payload: str) -> None:
        subscribers = self.services.subscribers.subscribers
        try:
            change = changes.typed(payload, turn.text)
        except UserFacingError as error:
            view, now = view_of(self.services, turn), self.services.conversation.clock()
            readings = error.readings if isinstance(error, Unsure) else ()
            await self.services.conversation.inputs.expect(turn.user_id, TYPED, payload)
            question = self._question(turn, payload, await subscribers.require(turn.user_id))
            said = view.html(error.key, **error.arguments)
            await self.reply(turn, menus.refused(view, payload, said, readings, now, question))
            return
        await self._save(turn, payload, change)
        await self.services.conversation.inputs.cancel(turn.user_id)

    async def _save(self, turn: Turn, what: str, change: Change) -> None:
        """Change a setting that is typed, and say what it is now."""
        held = await what_waits(self.services, turn.user_id)
        subscriber = await self.services.subscribers.subscribers.change_preferences(turn.user_id, change)
        view, now = view_of(self.services, turn), self.services.conversation.clock()
        saved = menus.saved(view, what, subscriber.preferences, now, self._included(subscriber))
        await self._show_delivery(turn, subscriber, lines(saved, what_comes(self.services, view, subscriber, held)))

    @callback(TakeSetting)
    async def take_setting(self, turn: Turn, data: TakeSetting) -> None:
        what = changes.typed_setting(data.what)
        try:
            change = changes.typed(what, data.reading)
        except UserFacingError as error:
            raise UserFacingError("callback.stale") from error
        await self._save(turn, what, change)

    @callback(ClearDelivery)
    async def clear_delivery(self, turn: Turn, data: ClearDelivery) -> None:
        await self._save(turn, data.what, changes.cleared(data.what))

    @callback(EndQuiet)
    async def end_quiet(self, turn: Turn, _data: EndQuiet) -> None:
        """Let alerts come again tonight, without turning the quiet hours off."""
        subscribers, held = self.services.subscribers.subscribers, await what_waits(self.services, turn.user_id)
        change = changes.quiet_ended(self.services.conversation.clock())
        subscriber = await subscribers.change_preferences(turn.user_id, change)
        view = view_of(self.services, turn)
        ended = menus.quiet_ended(view, subscriber.preferences)
        await self._show_delivery(turn, subscriber, lines(ended, what_comes(self.services, view, subscriber, held)))

    @callback(ShowSounds, goes_on=True)
    async def show_sounds(self, turn: Turn, _data: ShowSounds) -> None:
        await self.show(turn, menus.sounds_menu(view_of(self.services, turn), await self._preferences(turn)))

    @callback(SetSound)
    async def set_sound(self, turn: Turn, data: SetSound) -> None:
        preferences = await self._change_preferences(turn, changes.sound(data.kind, audible=data.audible))
        await self.show(turn, menus.sounds_menu(view_of(self.services, turn), preferences))

    @callback(ShowSnooze, goes_on=True)
    async def show_snooze(self, turn: Turn, _data: ShowSnooze) -> None:
        preferences = await self._preferences(turn)
        await self.show(
            turn, menus.snooze_menu(view_of(self.services, turn), preferences, self.services.conversation.clock())
        )

    @callback(Snooze)
    async def snooze(self, turn: Turn, data: Snooze) -> None:
        subscribers, held = self.services.subscribers.subscribers, await what_waits(self.services, turn.user_id)
        if data.how_long == "off":
            subscriber = await subscribers.resume(turn.user_id)
        else:
            change = changes.snooze(data.how_long, self.services.conversation.clock())
            subscriber = await subscribers.pause_for(turn.user_id, change)
        note = what_comes(self.services, view_of(self.services, turn), subscriber, held)
        await self._show_delivery(turn, subscriber, note)

    @callback(ShowCard, goes_on=True)
    async def show_card(self, turn: Turn, _data: ShowCard) -> None:
        await self._show_card(turn, await self._preferences(turn))

    @callback(SetCompact)
    async def set_compact(self, turn: Turn, data: SetCompact) -> None:
        preferences = await self._change_preferences(turn, changes.compact(is_compact=data.compact))
        await self._show_card(turn, preferences)

    @callback(SetCardField)
    async def set_card_field(self, turn: Turn, data: SetCardField) -> None:
        preferences = await self._change_preferences(turn, changes.card_field(data.field, shown=data.shown))
        await self._show_card(turn, preferences)

    @callback(SetCardButton)
    async def set_card_button(self, turn: Turn, data: SetCardButton) -> None:
        preferences = await self._change_preferences(turn, changes.card_button(data.button, shown=data.shown))
        await self._show_card(turn, preferences)

    async def _show_card(self, turn: Turn, preferences: Preferences) -> None:
        venues = self.services.find(Venues)
        await self.show(
            turn, menus.card_menu(view_of(self.services, turn), preferences, sells=bool(venues and venues.listed))
        )

    @callback(DeliverPrivately)
    async def deliver_privately(self, turn: Turn, _data: DeliverPrivately) -> None:
        change = changes.delivered_to(None)
        await self._show_delivery(
            turn, await self.services.subscribers.subscribers.change_preferences(turn.user_id, change)
        )

    @command("deliver_here", help="help.deliver_here", groups=True)
    async def deliver_here(self, turn: Turn) -> None:
        """In a group: alerts of an administrator come here from now on. In the private chat: back there."""
        group, view = turn.group, view_of(self.services, turn)
        if group is None:
            await self._change_preferences(turn, changes.delivered_to(None))
            await self.reply(turn, message(view.html("delivery.here_private")))
            return
        if group.written_as == "person":
            place = Destination(chat_id=group.chat_id, thread_id=group.thread_id, title=group.title[:128])
            subscribers, permissions = self.services.subscribers.subscribers, self.services.conversation.permissions
            outcome = await deliver_to_group(subscribers, permissions, turn.user_id, place)
        else:
            outcome = group.written_as
        await self.reply(turn, Message(html=str(view.html(_GROUP_ANSWERS[outcome])), thread_id=group.thread_id))
