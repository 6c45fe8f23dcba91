"""A second tap on the place of a button that is another one by now.

People tap twice, a tenth of a second apart. Where the first tap changes the buttons, the second one hits what has come
there: “Yes, delete” becomes “Pause alerts”. So for a moment after a change, in the same message, only what stood there
before is done; a second tap on the same button is that button again.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final

from msgspec import Struct
from telegram import CallbackQuery, Message

from handlers.conversation.routing import CallbackRoute

_REMEMBERED: Final = 10_000


class _Change(Struct, frozen=True):
    at_s: float
    stood: frozenset[str]
    """What the buttons carried before."""
    prefix: str
    """Of the button that was tapped."""


class SecondTaps:
    """What was tapped last in which message, for `within_s` seconds of a clock that never goes back."""

    def __init__(self, within_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._within_s = within_s
        self._clock = clock
        self._changes: OrderedDict[tuple[int, int], _Change] = OrderedDict()

    def is_too_soon(self, query: CallbackQuery, routes: Mapping[str, CallbackRoute]) -> bool:
        """Whether it hits what has only just come there. Turning the pages of a list is never too soon."""
        change = self._changes.get(_place(query))
        if change is None or self._clock() - change.at_s >= self._within_s or query.data in change.stood:
            return False
        prefix = _prefix(query)
        route = routes.get(prefix)
        return route is None or not route.goes_on or prefix != change.prefix

    def note(self, query: CallbackQuery) -> None:
        """Note that a tap has been answered; its update shows the buttons as they were."""
        stood = _buttons(query)
        if not stood or self._within_s <= 0:
            return
        place = _place(query)
        self._changes[place] = _Change(self._clock(), stood | {query.data or ""}, _prefix(query))
        self._changes.move_to_end(place)
        if len(self._changes) > _REMEMBERED:
            self._changes.popitem(last=False)


def _prefix(query: CallbackQuery) -> str:
    return (query.data or "").partition(":")[0]


def _place(query: CallbackQuery) -> tuple[int, int]:
    return query.from_user.id, query.message.message_id if query.message else 0


def _buttons(query: CallbackQuery) -> frozenset[str]:
    """What the buttons under the message carry; none for a message that is too old to be seen."""
    keyboard = query.message.reply_markup if isinstance(query.message, Message) else None
    rows = keyboard.inline_keyboard if keyboard else ()
    return frozenset(one.callback_data for row in rows for one in row if isinstance(one.callback_data, str))
