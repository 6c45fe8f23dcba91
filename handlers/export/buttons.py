"""What the buttons of exports and of going send back."""

from __future__ import annotations

from typing import ClassVar

from domain.buttons.data import CallbackData
from domain.export.lines import Form


class ExportAs(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "export"
    form: Form


class AskToLeave(CallbackData, frozen=True, array_like=True):
    """They have read what is lost."""

    prefix: ClassVar[str] = "leave"


class Leave(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "leavenow"
    asked_s: int


class Stay(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "stay"
