"""Somebody taps twice, and where they tapped stands another button by then."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import ClassVar

import pytest

from config.settings import Settings
from domain.buttons.data import CallbackData
from domain.delivery.messages import Message
from handlers.conversation.base import BotBase, Services, Turn
from handlers.conversation.dispatch import Dispatcher
from handlers.conversation.routing import callback
from handlers.conversation.second_taps import SecondTaps
from sandbox.feed.server import FeedSandbox
from sandbox.telegram.people import SandboxUser, callback_buttons
from sandbox.telegram.server import TelegramSandbox
from sandbox.telegram.updates import JsonObject
from services.subscribers.group import SubscriberServices
from tests.conversation.telegram_wire import MENU_ID, Person, RecordedConversation, Said, application
from tests.conversation.wiring import services_of
from tests.e2e.conftest import feed, running, subscribe, telegram
from texts import Texts

__all__ = ["feed", "telegram"]

WITHIN_S = 0.5
QUICK = Texts.load().plain("callback.too_quick")


class Go(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "go"
    to: str


class Turned(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "turned"
    page: int


class Nothing(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "nothing"


class Mixin(BotBase):
    @callback(Nothing)
    async def nothing(self, turn: Turn, data: Nothing) -> str:
        del turn
        return data.prefix

    @callback(Go)
    async def go(self, turn: Turn, data: Go) -> str:
        await self.show(turn, Message(html=f"at {data.to}"))
        return f"went to {data.to}"

    @callback(Turned, goes_on=True)
    async def turn_page(self, turn: Turn, data: Turned) -> None:
        await self.show(turn, Message(html=f"page {data.page}"))


class Bot(Mixin):
    def __init__(self, services: Services) -> None:
        self.services = services


class Inputs:
    async def cancel(self, user_id: int) -> None: ...


class Hand:
    """Taps on what a message shows, at any time."""

    def __init__(self, person: Person, now: list[float]) -> None:
        self._person = person
        self._now = now

    async def taps(
        self, data: CallbackData, shown: Sequence[CallbackData], *, after_s: float = 0.0, message_id: int = MENU_ID
    ) -> list[Said]:
        self._now[0] += after_s
        keyboard = [[{"text": "x", "callback_data": one.pack()}] for one in shown]
        menu = self._person.message("menu", message_id=message_id, reply_markup={"inline_keyboard": keyboard})
        return await self._person.taps(data.pack(), message=menu)


@pytest.fixture
async def hand(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hand]:
    now, conversation, app = [100.0], RecordedConversation(), application()
    services = services_of(inputs=Inputs(), telegram=conversation, texts=Texts.load())
    dispatcher = Dispatcher(Bot(services))
    monkeypatch.setattr(dispatcher, "_second_taps", SecondTaps(WITHIN_S, lambda: now[0]))
    dispatcher.install(app)
    async with app:
        yield Hand(Person(app, conversation), now)


SURE = (Go("deleted"), Go("back"))
MENU = (Go("paused"), Go("new"))


async def test_what_has_only_just_come_there_is_not_done_and_a_moment_later_it_is(hand: Hand) -> None:
    await hand.taps(Go("deleted"), SURE)
    assert [(one.how, one.text) for one in await hand.taps(Go("paused"), MENU, after_s=0.12)] == [("answered", QUICK)]
    # What was refused changed nothing, so the moment is not drawn out.
    assert [one.text for one in await hand.taps(Go("paused"), MENU, after_s=0.4)] == ["at paused", "went to paused"]


async def test_the_same_button_and_what_stood_beside_it_are_never_refused(hand: Hand) -> None:
    await hand.taps(Go("deleted"), SURE)
    assert [one.text for one in await hand.taps(Go("deleted"), MENU)] == ["at deleted", "went to deleted"]
    await hand.taps(Go("deleted"), SURE)
    assert [one.text for one in await hand.taps(Go("back"), MENU)] == ["at back", "went to back"]


async def test_pages_turn_as_fast_as_somebody_taps(hand: Hand) -> None:
    await hand.taps(Turned(1), (Turned(1), Go("x")))
    assert [one.text for one in await hand.taps(Turned(2), (Turned(0), Turned(2), Go("y")))] == ["page 2", None]
    assert [one.text for one in await hand.taps(Go("z"), (Turned(1), Turned(3), Go("z")))] == [QUICK]


async def test_another_message_has_its_own_moment(hand: Hand) -> None:
    await hand.taps(Go("deleted"), SURE)
    assert [one.text for one in await hand.taps(Nothing(), (Nothing(),), message_id=MENU_ID + 1)] == ["nothing"]
    assert [one.text for one in await hand.taps(Nothing(), (Nothing(),))] == [QUICK]


async def test_a_double_tap_does_not_answer_the_question_that_it_asks(
    telegram: TelegramSandbox, feed: FeedSandbox, redis_url: str, postgres_dsn: str
) -> None:
    async with running(telegram, feed, redis_url, postgres_dsn, Settings(double_tap_s=5)) as bot:
        ann = telegram.user("Ann")
        await subscribe(ann, "everything")
        menu = await settings(ann)
        await ann.tap_data(menu, "delete:1")
        assert "deleteyes:1" in offered(ann.chat.messages[menu["message_id"]])
        assert (await ann.tap_data(menu, "deleteyes:1"))["text"] == QUICK
        menu = await settings(ann)
        assert "is deleted" in (await ann.tap_data(menu, "deleteyes:1"))["text"]
        known = await bot.of(SubscriberServices).subscribers.require(ann.chat.id)
        assert known.filter_sets == ()


async def settings(person: SandboxUser) -> JsonObject:
    """Return a menu that nobody has tapped."""
    await person.send("/settings")
    sent = person.chat.messages
    newest = max(sent)
    return await person.next_message(where=lambda one: one["message_id"] > newest and "set:1" in offered(one))


def offered(message: JsonObject) -> set[str]:
    return {button["callback_data"] for button in callback_buttons(message)}
