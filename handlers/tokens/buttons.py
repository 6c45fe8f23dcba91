"""The buttons of what is known of a token."""

from __future__ import annotations

from typing import ClassVar

from domain.buttons.data import CallbackData


class ShowToken(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "token"
    address: str
