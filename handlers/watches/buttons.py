"""The buttons of `/watch` and `/watching`; the one on every card is `domain.buttons.cards.WatchToken`."""

from __future__ import annotations

from typing import ClassVar

from domain.buttons.data import CallbackData


class BeginWatch(CallbackData, frozen=True, array_like=True):
    """An address and a condition fill a button to the last byte."""

    prefix: ClassVar[str] = "w"
    address: str
    code: str
    """`domain.watches.conditions.Condition.code`."""


class ShowReady(CallbackData, frozen=True, array_like=True):
    """The ready conditions, to be told once or each time."""

    prefix: ClassVar[str] = "wready"
    address: str
    each_time: bool


class AskCondition(CallbackData, frozen=True, array_like=True):
    """Ask for what is typed: `price` or `market_cap`."""

    prefix: ClassVar[str] = "wask"
    address: str
    what: str


class PickToken(CallbackData, frozen=True, array_like=True):
    """Which of several that have one ticker."""

    prefix: ClassVar[str] = "wpick"
    address: str
    tag: str
    """Under which the condition was kept that somebody typed; empty: none was."""


class ShowWatching(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "watching"
    page: int


class EndWatch(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "wend"
    watch_id: int
    page: int


class AskEndAll(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "wendall"


class EndAll(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "wendsure"
    asked_s: int
    """When the question was asked, in Unix seconds; what was begun later stays."""
