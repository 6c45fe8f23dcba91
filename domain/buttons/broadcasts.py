"""The button below a broadcast."""

from __future__ import annotations

from typing import ClassVar

from domain.buttons.data import CallbackData


class NoNews(CallbackData, frozen=True, array_like=True):
    """No more of them."""

    prefix: ClassVar[str] = "nonews"
