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
from handlers.conversation.confirming import asked_twice
from handlers.conversation.menus import Keyboard, View, message, view_of
from handlers.conversation.routing import callback, command
from services.claims.dead_letters import NEWEST, DeadLetter, DeadLetterPage
from texts.markup import Html

DEAD_LETTERS_PER_PAGE: Final = 5


class ShowDeadLetters(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "letters"
    after: str
    """Where the page begins, see `DeadLetters.page`; here and below."""


class ReplayDeadLetter(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "letteragain"
    entry_id: str
    after: str


class DiscardDeadLetter(CallbackData, frozen=True, array_like=True):
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


class AdminDeadLettersMixin(BotBase):
    @command("dead_letters", help="help.dead_letters", admin="read_only", topic="bot")
    async def dead_letters(self, turn: Turn) -> None:
        await self._show_dead_letters(turn, NEWEST)

    @callback(ShowDeadLetters, admin="read_only")
    async def show_dead_letters(self, turn: Turn, data: ShowDeadLetters) -> None:
        await self._show_dead_letters(turn, data.after)

    @callback(ReplayDeadLetter, admin="owner", acts="replay dead letter")
    async def replay_dead_letter(self, turn: Turn, data: ReplayDeadLetter) -> str:
        outcome = await self.services.claims.dead_letters.replay(data.entry_id)
        await self._show_dead_letters(turn, data.after)
        key = {
            "replayed": "dead_letters.replayed",
            "gone": "dead_letters.gone",
            "unreadable": "dead_letters.cannot_replay",
        }[outcome]
        return view_of(self.services, turn).plain(key)

    @callback(DiscardDeadLetter, admin="owner", acts="discard dead letter")
    async def discard_dead_letter(self, turn: Turn, data: DiscardDeadLetter) -> str:
        discarded = await self.services.claims.dead_letters.discard(data.entry_id)
        await self._show_dead_letters(turn, data.after)
        return view_of(self.services, turn).plain("dead_letters.discarded" if discarded else "dead_letters.gone")

    @callback(AskReplayAll, admin="owner")
    async def ask_replay_all(self, turn: Turn, _data: AskReplayAll) -> None:
        view, count = view_of(self.services, turn), await self.services.claims.dead_letters.count()
        newest = (await self.services.claims.dead_letters.page(NEWEST, 1)).dead_letters
        if not newest:
            await self._show_dead_letters(turn, NEWEST)
            return
        asked = await asked_twice(
            self.services,
            turn,
            view.html("dead_letters.ask_all", count=count),
            yes_key="button.dead_letters_yes",
            yes=ReplayAll(newest[0].entry_id),
            back=ShowDeadLetters(NEWEST),
        )
        await self.show(turn, asked)

    @callback(ReplayAll, admin="owner", acts="replay all dead letters", confirmed=True)
    async def replay_all_dead_letters(self, turn: Turn, data: ReplayAll) -> str:
        done = await self.services.claims.dead_letters.replay_all(data.up_to)
        await self._show_dead_letters(turn, NEWEST)
        view = view_of(self.services, turn)
        return view.plain("dead_letters.all_replayed", replayed=done.replayed, unreadable=done.unreadable)

    async def _show_dead_letters(self, turn: Turn, after: str) -> None:
        view, dead_letters = view_of(self.services, turn), self.services.claims.dead_letters
        page, count = await dead_letters.page(after, DEAD_LETTERS_PER_PAGE), await dead_letters.count()
        if not page.dead_letters:
            refresh = view.button("button.refresh", ShowDeadLetters(NEWEST))
            await self.show(turn, message(view.html("dead_letters.none"), keyboard=((refresh,),)))
            return
        now = self.services.conversation.clock()
        lines = (_letter(view, number, letter, now) for number, letter in enumerate(page.dead_letters, 1))
        text = view.html("dead_letters.main", count=count, dead_letters=view.listed(lines, "\n\n"))
        await self.show(turn, message(text, keyboard=_keyboard(view, page, after, count)))


def _letter(view: View, number: int, letter: DeadLetter, now: datetime) -> Html:
    outgoing, reason = letter.outgoing, letter.reason
    age = show_short(max(0.0, (now - letter.dead_lettered_at).total_seconds()), "duration")
    if outgoing is None:
        return view.html("dead_letters.unreadable", number=number, age=age, reason=reason)
    told = {"number": number, "age": age, "user_id": outgoing.user_id, "reason": reason}
    match outgoing:
        case Alert(token_address=token):
            return view.html("dead_letters.line", **told, token=token)
        case Digest(held=held):
            return view.html("dead_letters.digest", **told, calls=len(held))
        case Envelope(kind=kind, subject=subject):
            return view.html("dead_letters.message", **told, kind=kind, subject=subject)


def _keyboard(view: View, page: DeadLetterPage, after: str, count: int) -> Keyboard:
    places = (("button.dead_letters_newer", page.newer), ("button.dead_letters_older", page.older))
    turning = tuple(view.button(key, ShowDeadLetters(at)) for key, at in places if at is not None)
    return (
        *(_actions(view, number, letter, after) for number, letter in enumerate(page.dead_letters, 1)),
        *((turning,) if turning else ()),
        (
            view.button("button.dead_letters_all", AskReplayAll(), count=count),
            view.button("button.refresh", ShowDeadLetters(NEWEST)),
        ),
    )


def _actions(view: View, number: int, letter: DeadLetter, after: str) -> tuple[Button, ...]:
    discard = view.button("button.dead_letter_discard", DiscardDeadLetter(letter.entry_id, after), number=number)
    if letter.outgoing is None:
        return (discard,)
    return view.button("button.dead_letter_replay", ReplayDeadLetter(letter.entry_id, after), number=number), discard
