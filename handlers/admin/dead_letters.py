"""Dead letters, for the bot's admins: what could not be delivered and why; sent again or given up."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Final

from domain.buttons.data import CallbackData
from domain.delivery.messages import Button
from domain.filters.numbers import show_short
from domain.stored.alerts import Alert
from domain.stored.outgoing import Digest, Envelope
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.menus import Keyboard, View, message, view_of
from handlers.conversation.routing import callback, command
from services.claims.dead_letters import NEWEST, DeadLetter, LetterPage
from texts.markup import Html

LETTERS_PER_PAGE: Final = 5


class ShowLetters(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "letters"
    after: str
    """Where the page begins, see `DeadLetters.page`; here and below."""


class ReplayLetter(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "letteragain"
    entry_id: str
    after: str


class DiscardLetter(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "letterdrop"
    entry_id: str
    after: str


class AskReplayAll(CallbackData, frozen=True, array_like=True):
    """Ask whether it is meant."""

    prefix: ClassVar[str] = "lettersall"


class ReplayAll(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "lettersyes"
    up_to: str
    """The newest letter when it was asked: what died since was not meant."""


class AdminLettersMixin(BotBase):
    @command("letters", help="help.letters", admin=True)
    async def letters(self, turn: Turn) -> None:
        await self._show_letters(turn, NEWEST)

    @callback(ShowLetters, admin=True)
    async def show_letters(self, turn: Turn, data: ShowLetters) -> None:
        await self._show_letters(turn, data.after)

    @callback(ReplayLetter, admin=True)
    async def replay_letter(self, turn: Turn, data: ReplayLetter) -> str:
        outcome = await self.services.claims.letters.replay(data.entry_id)
        await self._show_letters(turn, data.after)
        key = {"replayed": "letters.replayed", "gone": "letters.gone", "unreadable": "letters.cannot_replay"}[outcome]
        return view_of(self.services, turn).plain(key)

    @callback(DiscardLetter, admin=True)
    async def discard_letter(self, turn: Turn, data: DiscardLetter) -> str:
        discarded = await self.services.claims.letters.discard(data.entry_id)
        await self._show_letters(turn, data.after)
        return view_of(self.services, turn).plain("letters.discarded" if discarded else "letters.gone")

    @callback(AskReplayAll, admin=True)
    async def ask_replay_all(self, turn: Turn, _data: AskReplayAll) -> None:
        view, count = view_of(self.services, turn), await self.services.claims.letters.count()
        newest = (await self.services.claims.letters.page(NEWEST, 1)).letters
        if not newest:
            await self._show_letters(turn, NEWEST)
            return
        yes = view.button("button.letters_yes", ReplayAll(newest[0].entry_id))
        back = view.button("button.back", ShowLetters(NEWEST))
        await self.show(turn, message(view.html("letters.ask_all", count=count), keyboard=((yes,), (back,))))

    @callback(ReplayAll, admin=True)
    async def replay_all_letters(self, turn: Turn, data: ReplayAll) -> str:
        done = await self.services.claims.letters.replay_all(data.up_to)
        await self._show_letters(turn, NEWEST)
        view = view_of(self.services, turn)
        return view.plain("letters.all_replayed", replayed=done.replayed, unreadable=done.unreadable)

    async def _show_letters(self, turn: Turn, after: str) -> None:
        view, letters = view_of(self.services, turn), self.services.claims.letters
        page, count = await letters.page(after, LETTERS_PER_PAGE), await letters.count()
        if not page.letters:
            refresh = view.button("button.refresh", ShowLetters(NEWEST))
            await self.show(turn, message(view.html("letters.none"), keyboard=((refresh,),)))
            return
        now = self.services.conversation.clock()
        lines = (_letter(view, number, letter, now) for number, letter in enumerate(page.letters, 1))
        text = view.html("letters.main", count=count, letters=view.listed(lines, "\n\n"))
        await self.show(turn, message(text, keyboard=_keyboard(view, page, after, count)))


def _letter(view: View, number: int, letter: DeadLetter, now: datetime) -> Html:
    outgoing, reason = letter.outgoing, letter.reason
    age = show_short(max(0.0, (now - letter.buried_at).total_seconds()), "duration")
    if outgoing is None:
        return view.html("letters.unreadable", number=number, age=age, reason=reason)
    told = {"number": number, "age": age, "user_id": outgoing.user_id, "reason": reason}
    match outgoing:
        case Alert(token_address=token):
            return view.html("letters.line", **told, token=token)
        case Digest(held=held):
            return view.html("letters.digest", **told, calls=len(held))
        case Envelope(kind=kind, subject=subject):
            return view.html("letters.message", **told, kind=kind, subject=subject)


def _keyboard(view: View, page: LetterPage, after: str, count: int) -> Keyboard:
    places = (("button.letters_newer", page.newer), ("button.letters_older", page.older))
    turning = tuple(view.button(key, ShowLetters(at)) for key, at in places if at is not None)
    return (
        *(_actions(view, number, letter, after) for number, letter in enumerate(page.letters, 1)),
        *((turning,) if turning else ()),
        (
            view.button("button.letters_all", AskReplayAll(), count=count),
            view.button("button.refresh", ShowLetters(NEWEST)),
        ),
    )


def _actions(view: View, number: int, letter: DeadLetter, after: str) -> tuple[Button, ...]:
    discard = view.button("button.letter_discard", DiscardLetter(letter.entry_id, after), number=number)
    if letter.outgoing is None:
        return (discard,)
    return view.button("button.letter_replay", ReplayLetter(letter.entry_id, after), number=number), discard
