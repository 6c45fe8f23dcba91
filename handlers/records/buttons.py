"""The buttons of `/top` and `/performance`."""

from __future__ import annotations

from typing import ClassVar

from domain.buttons.data import CallbackData


class ShowTop(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "top"
    what: str
    """`channels` or `calls`."""
    window: str
    """`domain.tracking.records.Window`, here and below."""
    page: int


class ShowPerformance(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "perf"
    window: str
