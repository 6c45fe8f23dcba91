"""Personal alerts: `/watch`, the button 👁 on every card, and `/watching`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final, cast

from domain.buttons.cards import WatchToken
from domain.calls.addresses import find_addresses, is_address
from domain.calls.lifetimes import ACCEPTED_FOR
from domain.posts.pasted import parted, ticker_in
from domain.reading.typed import clip
from domain.watches.conditions import Condition, Figures, Subject
from domain.watches.reading import read_conditions
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.menus import message, view_of
from handlers.conversation.routing import callback, command, text_input
from handlers.delivery.standing import why_all_waits
from handlers.watches import menus
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
from runtime.errors import UserFacingError
from services.watches.watches import WatchesService
from texts.markup import Html

TYPED: Final = "watch"
"""Kind of the question that a condition answers; its payload is what it is about: `address`, `address:price`.

`address:each`: whatever is typed, it is to be told each time.
"""
TYPED_WHOLE: Final = "watchof"
"""Kind of the question that a token and a condition answer."""
_EACH: Final = "each"
_ONCE: Final = re.compile(r"\bonce\b", re.IGNORECASE)
_ASKED: Final[tuple[Subject, ...]] = ("price", "market_cap")
_WORDS: Final[dict[str, str]] = {"price": "price", "market_cap": "mc"}
_PRICED_BY_ITSELF: Final = ("%", "x", "×")


def _is_a_token(typed: str) -> bool:
    """Whether somebody asks about another token meanwhile."""
    return bool(find_addresses(typed)) or (ticker_in(typed) is not None and not typed.strip()[1:2].isdigit())


class WatchesMixin(BotBase):
    """What somebody wants to hear of a token, asked for and ended."""

    @command("watch", help="help.watch", takes=True)
    async def watch(self, turn: Turn) -> None:
        """Take `<token> <condition>`; what is missing is asked for."""
        _, _, asked = turn.text.partition(" ")
        await self.services.subscribers.subscribers.require(turn.user_id)
        if asked.strip():
            await self._take_whole(turn, asked)
        else:
            await self.services.conversation.inputs.expect(turn.user_id, TYPED_WHOLE, "")
            await self.reply(turn, menus.how(view_of(self.services, turn)))

    @text_input(TYPED_WHOLE)
    async def typed_whole(self, turn: Turn, _payload: str) -> None:
        await self._take_whole(turn, turn.text)

    async def _take_whole(self, turn: Turn, asked: str) -> None:
        """Take a token and a condition, in whichever order."""
        token, typed = parted(asked)
        if addresses := find_addresses(token):
            await self._take_up(turn, addresses[0], typed)
        else:
            await self._find(turn, token.removeprefix("$"), typed)

    async def _find(self, turn: Turn, ticker: str, typed: str) -> None:
        """Somebody named a token by its ticker, which several may have."""
        view, now = view_of(self.services, turn), self.services.conversation.clock()
        found = await self.services.of(WatchesService).find(turn.user_id, ticker)
        if not found:
            text = view.html("watch.no_token", ticker=clip(ticker), days=ACCEPTED_FOR.days, address=menus.EXAMPLE)
            await self.reply(turn, message(text))
        elif len(found) == 1:
            await self._take_up(turn, found[0].address, typed)
        else:
            tag = await self.services.conversation.inputs.hold(turn.user_id, typed) if typed else ""
            await self.reply(turn, menus.which_token(view, clip(ticker), found, tag, now))

    @callback(PickToken)
    async def pick_token(self, turn: Turn, data: PickToken) -> None:
        address = _known(data.address)
        typed = await self.services.conversation.inputs.held(turn.user_id, data.tag) if data.tag else ""
        await self._take_up(turn, address, typed)

    @callback(WatchToken, aside=True)
    async def watch_token(self, turn: Turn, data: WatchToken) -> None:
        """Answer with a new message: the alert whose button this is shall stay."""
        await self.services.subscribers.subscribers.require(turn.user_id)
        await self._show_ready(turn, _known(data.address), each_time=False, anew=True)

    @callback(ShowReady)
    async def show_ready(self, turn: Turn, data: ShowReady) -> None:
        await self._show_ready(turn, _known(data.address), each_time=data.each_time)

    async def _show_ready(self, turn: Turn, address: str, *, each_time: bool, anew: bool = False) -> None:
        watches = self.services.of(WatchesService)
        name, now = await watches.name(address), await watches.figures(address)
        about = f"{address}:{_EACH}" if each_time else address
        await self.services.conversation.inputs.expect(turn.user_id, TYPED, about)
        menu = menus.ready_menu(view_of(self.services, turn), address, name, now, each_time=each_time)
        await (self.reply(turn, menu) if anew else self.show(turn, menu))

    @callback(AskCondition)
    async def ask_condition(self, turn: Turn, data: AskCondition) -> None:
        address, what, watches = _known(data.address), _asked(data.what), self.services.of(WatchesService)
        name, now = await watches.name(address), await watches.figures(address)
        await self.services.conversation.inputs.expect(turn.user_id, TYPED, f"{address}:{what}")
        await self.show(turn, menus.question(view_of(self.services, turn), address, name, what, now))

    @text_input(TYPED, unless=_is_a_token)
    async def typed_condition(self, turn: Turn, payload: str) -> None:
        address, _, what = payload.partition(":")
        await self._take_up(turn, address, turn.text, what)

    async def _take_up(self, turn: Turn, address: str, typed: str, what: str = "") -> None:
        """Begin what was typed where it is clear; else ask."""
        if not typed:
            await self._show_ready(turn, address, each_time=False)
            return
        now, view = await self.services.of(WatchesService).figures(address), view_of(self.services, turn)
        try:
            meant = _read(typed, what, now)
        except UserFacingError as error:
            await self.services.conversation.inputs.expect(turn.user_id, TYPED, f"{address}:{what}")
            await self.reply(turn, message(view.html(error.key, **{**error.arguments, "typed": clip(typed)})))
            return
        await self.services.conversation.inputs.cancel(turn.user_id)
        condition, *others = meant
        if others:
            await self.reply(turn, menus.which_condition(view, address, clip(typed), meant))
        else:
            await self._begin(turn, address, condition, now)

    @callback(BeginWatch)
    async def begin_watch(self, turn: Turn, data: BeginWatch) -> None:
        address, condition = _known(data.address), Condition.of_code(data.code)
        await self._begin(turn, address, condition, await self.services.of(WatchesService).figures(address))

    async def _begin(self, turn: Turn, address: str, condition: Condition, now: Figures) -> None:
        watches, view = self.services.of(WatchesService), view_of(self.services, turn)
        subscriber = await self.services.subscribers.subscribers.require(turn.user_id)
        result = await watches.begin(subscriber, address, condition, now)
        held = menus.waits(view, why_all_waits(view, subscriber, self.services.conversation.clock()))
        name = await watches.name(address)
        await self.show(turn, menus.begun(view, address, name, condition, result, now, held))

    @command("watching", help="help.watching", goes_on=True)
    async def watching(self, turn: Turn) -> None:
        await self._show_watching(turn, 0)

    @callback(ShowWatching, goes_on=True, aside=True)
    async def show_watching(self, turn: Turn, data: ShowWatching) -> None:
        await self._show_watching(turn, data.page)

    @callback(EndWatch, aside=True)
    async def end_watch(self, turn: Turn, data: EndWatch) -> str:
        ended = await self.services.of(WatchesService).end(turn.user_id, data.watch_id)
        await self._show_watching(turn, data.page)
        return view_of(self.services, turn).plain("watching.ended" if ended else "watching.ended_before")

    @callback(AskEndAll)
    async def ask_end_all(self, turn: Turn, _data: AskEndAll) -> None:
        view, now = view_of(self.services, turn), self.services.conversation.clock()
        count = len(await self.services.of(WatchesService).all(turn.user_id))
        yes = view.button("button.watch_end_sure", EndAll(int(now.timestamp())))
        text = view.html("watching.end_all_sure", count=count)
        await self.show(turn, message(text, keyboard=((yes, view.button("button.back", ShowWatching(0))),)))

    @callback(EndAll)
    async def end_all(self, turn: Turn, data: EndAll) -> None:
        asked_at = datetime.fromtimestamp(min(max(data.asked_s, 0), 2**31) + 1, UTC)
        count = await self.services.of(WatchesService).end_all(turn.user_id, asked_at)
        await self._show_watching(turn, 0, view_of(self.services, turn).html("watching.ended_all", count=count))

    async def _show_watching(self, turn: Turn, page: int, note: Html | None = None) -> None:
        subscriber = await self.services.subscribers.subscribers.require(turn.user_id)
        watches, now = self.services.of(WatchesService), self.services.conversation.clock()
        mine, limit = await watches.all(turn.user_id), watches.limit(subscriber)
        view, untold = view_of(self.services, turn), await watches.untold(turn.user_id)
        held = menus.waits(view, why_all_waits(view, subscriber, now), untold)
        await self.show(turn, menus.watching_menu(view, mine, page, limit=limit, now=now, held=held, note=note))


def _known(address: str) -> str:
    """Take only what a button of ours could have said."""
    if not is_address(address):
        raise UserFacingError("callback.stale")
    return address


def _asked(what: str) -> Subject:
    if what not in _ASKED:
        raise UserFacingError("callback.stale")
    return cast("Subject", what)


def _read(typed: str, what: str, now: Figures) -> tuple[Condition, ...]:
    """Read it as what was asked for, unless they say themselves what they mean."""
    is_whole = typed.strip()[:1].isalpha() or typed.strip().endswith(_PRICED_BY_ITSELF)
    meant = read_conditions(typed if what not in _WORDS or is_whole else f"{_WORDS[what]} {typed}", now)
    if what != _EACH or _ONCE.search(typed):
        return meant
    return tuple(one.timed(each_time=True) for one in meant)
