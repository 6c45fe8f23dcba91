"""Lists that are longer than a message: one page of them, and the buttons to the pages beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from msgspec import Struct

from domain.buttons.data import CallbackData
from handlers.conversation.menus import Keyboard, View

T = TypeVar("T")


class Page(Struct, frozen=True):
    number: int
    """From 0."""
    last: int
    per_page: int

    @classmethod
    def at(cls, asked: int, *, total: int, per_page: int) -> Page:
        """Return the page that a button of any age asks for; one beyond the end is the last one."""
        last = max(0, (total - 1) // per_page)
        return cls(min(max(asked, 0), last), last, per_page)

    @property
    def start(self) -> int:
        return self.number * self.per_page

    def of(self, items: Sequence[T]) -> Sequence[T]:
        return items[self.start : self.start + self.per_page]

    def turning(self, view: View, to: Callable[[int], CallbackData]) -> Keyboard:
        """Return the row of buttons that turn the page; no row where there is only one."""
        buttons = tuple(
            view.button(key, to(number))
            for key, number in (("button.previous", self.number - 1), ("button.next", self.number + 1))
            if 0 <= number <= self.last
        )
        return (buttons,) if buttons else ()
