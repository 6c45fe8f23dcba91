"""/watch and /watching: what is unclear is asked about, what is begun is listed and ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from domain.buttons.cards import WatchToken
from domain.calls.events import Origin, Token
from domain.delivery.changes import snooze
from domain.delivery.messages import Button
from handlers.conversation.base import Services, Turn
from handlers.conversation.routing import collect
from handlers.watches.buttons import (
    AskCondition,
    AskEndAll,
    BeginWatch,
    EndAll,
    EndWatch,
    PickToken,
    ShowReady,
    ShowWatching,
)
from handlers.watches.watching import TYPED, TYPED_WHOLE, WatchesMixin
from runtime.errors import UserFacingError
from services.subscribers.inputs import InputsService
from services.watches.watches import WatchesService
from tests.conversation.telegram_wire import MENU_ID, RecordedConversation
from tests.conversation.wiring import fields_of, services_of
from tests.delivery.kit import Clock
from tests.texts.telegram_html import assert_sendable, shown
from tests.tracking.kit import address
from tests.watches.kit import PLANS, WatchDesk
from texts import Texts

ANN = 1
NUMBER = 20
"""Its address has a capital letter, as most have."""
TOKEN = address(NUMBER)


class Prices:
    """A token costs a cent, with a market cap of half a million."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.known = True

    async def latest(self, address: str) -> Token | None:
        origin = Origin("jupiter", self.clock())
        origins = {"price_usd": origin, "market_cap_usd": origin}
        if not self.known:
            return None
        return Token(address=address, price_usd=0.01, market_cap_usd=500_000.0, origins=origins)


class Bot(WatchesMixin):
    def __init__(self, services: Services) -> None:
        self.services = services


class Chat:
    """Somebody who talks to the bot."""

    def __init__(self, desk: WatchDesk) -> None:
        self.conversation = RecordedConversation()
        self.prices = Prices(desk.clock)
        self.watches = WatchesService(desk.postgres, plans=PLANS, tokens=self.prices, clock=desk.clock)
        services = services_of(
            **fields_of(desk.users),
            telegram=self.conversation,
            texts=Texts.load(),
            inputs=InputsService(desk.redis),
            clock=desk.clock,
        )
        self.services = replace(services, groups={**services.groups, WatchesService: self.watches})
        self.bot = Bot(self.services)

    def turn(self, text: str = "", menu_id: int | None = None) -> Turn:
        return Turn(user_id=ANN, chat_id=ANN, name="Ann", language="en", text=text, menu_id=menu_id)

    async def says(self, text: str) -> str:
        """Send a message; returns the answer as it is read."""
        expected = await self.services.conversation.inputs.take(ANN)
        if text.startswith("/watching"):
            await self.bot.watching(self.turn(text))
        elif text.startswith("/"):
            await self.bot.watch(self.turn(text))
        else:
            assert expected is not None
            answer = {TYPED: self.bot.typed_condition, TYPED_WHOLE: self.bot.typed_whole}[expected.kind]
            await answer(self.turn(text), expected.payload)
        return self.read()

    def read(self) -> str:
        said = self.conversation.said[-1]
        assert said.message is not None
        assert_sendable(said.message.html)
        return shown(said.message.html)

    def buttons(self) -> Sequence[Button]:
        said = self.conversation.said[-1]
        assert said.message is not None
        return [button for row in said.message.keyboard for button in row]

    @property
    def tapped(self) -> Turn:
        return self.turn(menu_id=MENU_ID)


@pytest.fixture
def chat(desk: WatchDesk) -> Chat:
    return Chat(desk)


@pytest.mark.parametrize(
    "said", [f"{TOKEN} 2x", f"2x {TOKEN}", f"https://dexscreener.com/solana/{TOKEN} when it hits 2x"]
)
async def test_what_watch_asked_for_is_taken_as_the_command_would(chat: Chat, said: str) -> None:
    await chat.says("/watch")
    assert "✅ I watch" in await chat.says(said)
    assert [one.condition.code for one in await chat.watches.all(ANN)] == ["ma2o"]


async def test_what_cannot_be_read_of_it_is_said_and_asked_for_again(chat: Chat) -> None:
    await chat.says("/watch")
    assert "I know no token hello" in await chat.says("hello there")
    assert "I can't read “when it doubles” as a condition" in await chat.says(f"{TOKEN} when it doubles")
    assert "✅ I watch" in await chat.says("2x")


@pytest.mark.parametrize(
    ("each_time", "typed", "codes"),
    [
        (False, "2x", ["ma2o"]),
        (False, "-30%", ["mb0.7o"]),
        (True, "2x", ["ma2e"]),
        (True, "2x once", ["ma2o"]),
        (False, "2x each time", ["ma2e"]),
        (False, "mc > 900k", ["ca900000o"]),
    ],
)
async def test_what_is_typed_where_conditions_are_offered_is_one(
    chat: Chat, *, each_time: bool, typed: str, codes: list[str]
) -> None:
    await chat.bot.watch_token(chat.tapped, WatchToken(TOKEN))
    if each_time:
        await chat.bot.show_ready(chat.tapped, ShowReady(TOKEN, each_time=True))
    assert "✅ I watch" in await chat.says(typed)
    assert [one.condition.code for one in await chat.watches.all(ANN)] == codes


async def test_a_number_alone_is_asked_about_there(chat: Chat) -> None:
    await chat.bot.watch_token(chat.tapped, WatchToken(TOKEN))
    assert "can be meant in several ways" in await chat.says("200k")


def test_another_token_is_no_condition() -> None:
    [route] = (one for one in collect(WatchesMixin).inputs.values() if one.kind == TYPED)
    assert route.unless is not None
    assert [*map(route.unless, (TOKEN, f"{TOKEN} 2x", "$noodle", "$200k", "200k", "2x"))] == [True] * 3 + [False] * 3


async def test_what_is_missing_is_asked_for(chat: Chat) -> None:
    assert "/watch So1111" in await chat.says("/watch")
    assert "I know no token PEPE" in await chat.says("/watch $PEPE 2x")
    assert "Now: $0.01 · market cap $500k" in await chat.says(f"/watch {TOKEN}")
    assert "can be meant in several ways" in await chat.says(f"/watch {TOKEN} 50%")
    assert [button.text for button in chat.buttons()] == ["1.5x · once", "-50% · once"]
    assert "I can't read “soon”" in await chat.says(f"/watch {TOKEN} soon")
    assert "cannot get to “-100%”" in await chat.says("-100%")  # the question is still open
    assert "market cap above $1M, each time" in await chat.says("mc > 1M each time")
    assert await chat.services.conversation.inputs.take(ANN) is None
    chat.prices.known = False
    assert "can be meant in several ways" in await chat.says(f"/watch {TOKEN} price 0.02")


async def test_from_the_button_to_what_is_typed(chat: Chat, desk: WatchDesk) -> None:
    await desk.call("c1", token=NUMBER)
    await chat.bot.watch_token(chat.tapped, WatchToken(TOKEN))
    assert "👁 T20" in chat.read()
    await chat.bot.show_ready(chat.tapped, ShowReady(TOKEN, each_time=True))
    assert "🔁 How often: each time" in [button.text for button in chat.buttons()]
    await chat.bot.ask_condition(chat.tapped, AskCondition(TOKEN, "market_cap"))
    assert "> 1M or < 250k" in chat.read()
    assert "T20 for you: market cap below $250k, once" in await chat.says("< 250k")
    await chat.bot.ask_condition(chat.tapped, AskCondition(TOKEN, "price"))
    assert "> 0.02 or < 0.005" in chat.read()
    assert "T20 for you: price above $0.02, each time" in await chat.says("0.02 each time")
    await chat.bot.ask_condition(chat.tapped, AskCondition(TOKEN, "price"))
    assert "T20 for you: 3x, once" in await chat.says("3x")
    assert "Personal alerts that your plan includes: 3" in await chat.says(f"/watch {TOKEN} 4x")


async def test_several_with_one_ticker_are_asked_about_and_what_was_typed_is_not_lost(
    chat: Chat, desk: WatchDesk
) -> None:
    await desk.call("c1", token=NUMBER)
    await desk.call("c2", ANN, token=10)
    assert "T20" in await chat.says("/watch $t20 2x")
    await desk.postgres.execute(
        "UPDATE calls SET document = jsonb_set(document::jsonb, '{token,symbol}', '\"T20\"') WHERE call_id = 'c2'"
    )
    assert "Several tokens are called t20" in await chat.says("/watch $t20 5x")
    first, _ = chat.buttons()
    assert first.data is not None
    data = PickToken.unpack(first.data)
    assert data.address == address(10), "of the person's own alerts"
    await chat.bot.pick_token(chat.tapped, data)
    assert "5x, once" in chat.read()
    with pytest.raises(UserFacingError):
        await chat.bot.pick_token(chat.tapped, PickToken(data.address, "0123456789"))


async def test_what_is_watched_is_listed_with_the_way_to_go_and_ended(chat: Chat, desk: WatchDesk) -> None:
    assert "I watch nothing" in await chat.says("/watching")
    await desk.call("c1", token=NUMBER, price_usd=0.01, market_cap_usd=500_000.0)
    await desk.tracking.round()
    for typed in ("2x", "-50%", "mc > 1M"):
        await chat.says(f"/watch {TOKEN} {typed}")
    await desk.evaluator.round()
    desk.tick(0.01, NUMBER)
    await desk.evaluator.drained()
    desk.clock.pass_(seconds=40)
    listed = await chat.says("/watching")
    assert "I watch for you: 3 of 3" in listed
    assert "1. T20: 2x, once\nnow $0.01, +100% to go · asked 4" in listed
    assert "2. T20: -50%, once\nnow $0.01, -50% to go" in listed
    assert "3. T20: market cap above $1M, once\nnow $500k, +100% to go" in listed
    desk.clock.pass_(seconds=80)
    assert "1. T20: 2x, once\n2m ago $0.01, +100% to go" in await chat.says("/watching")
    desk.clock.pass_(hours=1)
    assert "last price 1h 2m ago" in await chat.says("/watching")
    first = (await chat.watches.all(ANN))[0]
    end = next(button for button in chat.buttons() if button.text.startswith("✖ 1."))
    assert end.data == EndWatch(first.id, 0).pack()
    toasts = [await chat.bot.end_watch(chat.tapped, EndWatch(first.id, 0)) for _ in range(2)]
    assert toasts == ["Ended.", "That one has ended already."]
    await chat.bot.ask_end_all(chat.tapped, AskEndAll())
    assert "End all your personal alerts (2)?" in chat.read()
    sure = chat.buttons()[0]
    assert sure.data is not None
    await chat.bot.end_all(chat.tapped, EndAll.unpack(sure.data))
    assert "Ended: 2" in chat.read()
    assert await chat.watches.all(ANN) == []
    await chat.bot.show_watching(chat.tapped, ShowWatching(9))
    assert "I watch nothing" in chat.read()


async def test_two_taps_begin_one_and_foreign_buttons_are_stale(chat: Chat) -> None:
    twice = BeginWatch(TOKEN, "ma2o")
    await chat.bot.begin_watch(chat.tapped, twice)
    assert "I watch" in chat.read()
    await chat.bot.begin_watch(chat.tapped, twice)
    assert "I watch that already" in chat.read()
    assert len(await chat.watches.all(ANN)) == 1
    for stale in (BeginWatch("nobody", twice.code), BeginWatch(TOKEN, "ma0.5o")):
        with pytest.raises(UserFacingError):
            await chat.bot.begin_watch(chat.tapped, stale)


@pytest.mark.parametrize(
    ("how", "why"),
    [("paused", "⏸ Paused: nothing is sent until you /resume."), ("snoozed", "💤 Paused until 13:20 (UTC)")],
)
async def test_who_has_paused_is_told_that_what_is_met_is_held(chat: Chat, desk: WatchDesk, how: str, why: str) -> None:
    subscribers, waits = desk.users.subscribers, "A personal alert that is met meanwhile waits"
    assert "waits" not in await chat.says(f"/watch {TOKEN} 3x")
    if how == "paused":
        await subscribers.pause(ANN)
    else:
        await subscribers.pause_for(ANN, snooze("1h", desk.clock()))
    begun = await chat.says(f"/watch {TOKEN} 2x each time")
    assert "✅ I watch" in begun
    assert why in begun
    assert waits in begun
    await desk.evaluator.round()
    for price in (0.021, 0.022, 0.0225):
        desk.heard(price, NUMBER)
    await desk.evaluator.round()
    listed = await chat.says("/watching")
    assert why in listed
    assert "Met, not told yet: 1." in listed
    assert "met, not told yet; again after it has gone back" in listed
    assert "told; again" not in listed
    await subscribers.resume(ANN)
    desk.clock.pass_(minutes=2)
    await desk.evaluator.round()
    listed = await chat.says("/watching")
    assert waits not in listed
    assert ": told; again after it has gone back" in listed
