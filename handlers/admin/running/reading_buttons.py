"""The buttons of channels that are read; a channel is named as `@name`."""

from __future__ import annotations

from typing import ClassVar

from domain.buttons.data import CallbackData


class ShowReading(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "channelsread"
    which: str
    page: int


class ShowRead(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "channelread"
    channel: str


class ShowSuggester(CallbackData, frozen=True, array_like=True):
    """Show who suggested a channel; back leads to it."""

    prefix: ClassVar[str] = "suggester"
    user_id: int
    channel: str


class FindRead(CallbackData, frozen=True, array_like=True):
    """Ask what it is called."""

    prefix: ClassVar[str] = "findread"


class AskAddChannel(CallbackData, frozen=True, array_like=True):
    """Ask what it is called."""

    prefix: ClassVar[str] = "askaddchannel"


class PauseReading(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "pausereading"
    channel: str


class ResumeReading(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "resumereading"
    channel: str


class AskRemoveReading(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "askunread"
    channel: str


class RemoveReading(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "unread"
    channel: str


class AcceptSuggestion(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "suggestyes"
    channel: str


class RefuseSuggestion(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "suggestno"
    channel: str
