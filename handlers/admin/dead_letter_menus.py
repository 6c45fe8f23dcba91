"""Dead letters, as admins read them, and the buttons about them."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

import msgspec

from domain.buttons.data import CallbackData
from domain.delivery.messages import Button
from domain.filters.numbers import show_short
from domain.stored.alerts import Alert
from domain.stored.outgoing import Digest, Envelope
from handlers.conversation.menus import Keyboard, View
from services.claims.dead_letters import NEWEST, DeadLetter, DeadLetterPage
from texts.markup import Html


class ShowDeadLetters(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "letters"
    after: str
    """Where the page begins, see `DeadLetters.page`; here and below."""


class ShowDeadLetter(CallbackData, frozen=True, array_like=True):
    """One of them in full."""

    prefix: ClassVar[str] = "letter"
    entry_id: str
    after: str


class AskDiscard(CallbackData, frozen=True, array_like=True):
    """Ask whether it is meant."""

    prefix: ClassVar[str] = "letterask"
    entry_id: str
    after: str


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


def letter_line(view: View, number: int, letter: DeadLetter, now: datetime) -> Html:
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


def in_full(view: View, letter: DeadLetter) -> Html:
    document = "" if letter.outgoing is None else msgspec.json.format(msgspec.json.encode(letter.outgoing)).decode()
    at = f"{letter.dead_lettered_at:%d %b %Y, %H:%M:%S}"
    return view.html("dead_letters.in_full", at=at, reason=letter.reason, entry_id=letter.entry_id, document=document)


def keyboard_of(view: View, page: DeadLetterPage, after: str, count: int) -> Keyboard:
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
    look = view.button("button.dead_letter_look", ShowDeadLetter(letter.entry_id, after), number=number)
    discard = view.button("button.dead_letter_discard", AskDiscard(letter.entry_id, after), number=number)
    if letter.outgoing is None:
        return look, discard
    again = view.button("button.dead_letter_replay", ReplayDeadLetter(letter.entry_id, after), number=number)
    return look, again, discard
