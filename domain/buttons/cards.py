"""Buttons that stand on cards and digests: services compose those, handlers answer the taps."""

from __future__ import annotations

from typing import ClassVar, Self

from domain.buttons.data import CallbackData
from domain.calls.addresses import MAX_ADDRESS_LENGTH, call_tag


class ShowWhy(CallbackData, frozen=True, array_like=True):
    """Make it with `of`: the id of a call may be longer than a button can carry."""

    prefix: ClassVar[str] = "why"
    address: str
    tag: str
    """`call_tag` of the call, told apart from the other calls of the same token."""

    @classmethod
    def of(cls, address: str, call_id: str) -> Self:
        return cls(address[:MAX_ADDRESS_LENGTH], call_tag(call_id))


class WatchToken(CallbackData, frozen=True, array_like=True):
    """Stands on every card."""

    prefix: ClassVar[str] = "watch"
    address: str


class MuteToken(CallbackData, frozen=True, array_like=True):
    """Stands on every card: ask what to mute."""

    prefix: ClassVar[str] = "mute"
    address: str


class ShowDigest(CallbackData, frozen=True, array_like=True):
    """Stands on digests that tell of more calls than one message holds."""

    prefix: ClassVar[str] = "digest"
    page: int
    """From 0."""
    message_id: int
    """Of the digest; 0: the message that it stands on."""
