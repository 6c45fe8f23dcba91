"""The buttons of `/why`, beside the one on every card."""

from __future__ import annotations

from typing import ClassVar

from domain.buttons.data import CallbackData


class ShowNearMisses(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "misses"
    page: int


class WhyToken(CallbackData, frozen=True, array_like=True):
    """Which of several that have one ticker."""

    prefix: ClassVar[str] = "whytoken"
    address: str
