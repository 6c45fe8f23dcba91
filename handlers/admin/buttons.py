"""The buttons of admins."""

from __future__ import annotations

from typing import ClassVar

from domain.buttons.data import CallbackData


class ShowUsers(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "users"
    page: int


class RefreshHealth(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "health"


class AdminPresets(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "adminpresets"


class AdminPreset(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "adminpreset"
    preset_key: str


class TakeRules(CallbackData, frozen=True, array_like=True):
    """Give a preset the rules of one of the admin's own sets."""

    prefix: ClassVar[str] = "takerules"
    preset_key: str
    number: int


class NewPreset(CallbackData, frozen=True, array_like=True):
    """Ask for the name of a preset with the rules of one of the admin's own sets."""

    prefix: ClassVar[str] = "newpreset"
    number: int


class NamePreset(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "namepreset"
    preset_key: str


class DescribePreset(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "aboutpreset"
    preset_key: str


class RemovePreset(CallbackData, frozen=True, array_like=True):
    """Ask whether it is meant."""

    prefix: ClassVar[str] = "removepreset"
    preset_key: str


class ConfirmRemove(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "removeyes"
    preset_key: str
