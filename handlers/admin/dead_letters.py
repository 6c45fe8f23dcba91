"""Dead letters, for the bot's admins: what could not be delivered and why; looked at, sent again or given up."""

from __future__ import annotations

from typing import Final

from handlers.admin.dead_letter_menus import (
    AskDiscard,
    AskReplayAll,
    DiscardDeadLetter,
    ReplayAll,
    ReplayDeadLetter,
    ShowDeadLetter,
    ShowDeadLetters,
    in_full,
    keyboard_of,
    letter_line,
)
from handlers.conversation.base import BotBase, Turn
from handlers.conversation.confirming import asked_twice
from handlers.conversation.menus import message, view_of
from handlers.conversation.routing import callback, command
from services.claims.dead_letters import NEWEST

DEAD_LETTERS_PER_PAGE: Final = 5


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

    @callback(ShowDeadLetter, admin="read_only")
    async def show_dead_letter(self, turn: Turn, data: ShowDeadLetter) -> None:
        view, letter = view_of(self.services, turn), await self.services.claims.dead_letters.find(data.entry_id)
        if letter is None:
            await self._show_dead_letters(turn, data.after)
            return
        again = view.button("button.dead_letter_replay", ReplayDeadLetter(data.entry_id, data.after), number="")
        discard = view.button("button.dead_letter_discard", AskDiscard(data.entry_id, data.after), number="")
        keyboard = (
            (again, discard) if letter.outgoing is not None else (discard,),
            (view.button("button.back", ShowDeadLetters(data.after)),),
        )
        await self.show(turn, message(in_full(view, letter), keyboard=keyboard))

    @callback(AskDiscard, admin="owner")
    async def ask_discard_dead_letter(self, turn: Turn, data: AskDiscard) -> None:
        letter, view = await self.services.claims.dead_letters.find(data.entry_id), view_of(self.services, turn)
        if letter is None:
            await self._show_dead_letters(turn, data.after)
            return
        text = view.html("dead_letters.sure_discard", user_id=letter.outgoing.user_id if letter.outgoing else "?")
        yes, back = DiscardDeadLetter(data.entry_id, data.after), ShowDeadLetter(data.entry_id, data.after)
        asked = await asked_twice(self.services, turn, text, yes_key="button.discard_yes", yes=yes, back=back)
        await self.show(turn, asked)

    @callback(DiscardDeadLetter, admin="owner", acts="discard dead letter", confirmed=True)
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
        lines = (letter_line(view, number, letter, now) for number, letter in enumerate(page.dead_letters, 1))
        text = view.html("dead_letters.main", count=count, dead_letters=view.listed(lines, "\n\n"))
        await self.show(turn, message(text, keyboard=keyboard_of(view, page, after, count)))
