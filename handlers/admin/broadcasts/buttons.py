"""The buttons of broadcasts. `broadcast_id` names one in all of them."""

from __future__ import annotations

from typing import ClassVar

from domain.buttons.data import CallbackData


class ShowBroadcasts(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "bcasts"


class ShowBroadcast(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "bcast"
    broadcast_id: str


class ReadBroadcast(CallbackData, frozen=True, array_like=True):
    """Show it as people get it."""

    prefix: ClassVar[str] = "bcread"
    broadcast_id: str


class AskBroadcast(CallbackData, frozen=True, array_like=True):
    """Ask for the text of a new one."""

    prefix: ClassVar[str] = "bcnew"


class AskRewrite(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "bctext"
    broadcast_id: str


class ChooseAudience(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "bcfor"
    broadcast_id: str


class SetAudience(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "bcaim"
    broadcast_id: str
    segment: str
    """`domain.broadcasts.segments.Segment`."""
    language: str
    """Of the segment `language`; else empty."""


class TestBroadcast(CallbackData, frozen=True, array_like=True):
    """Send it to who taps."""

    prefix: ClassVar[str] = "bctest"
    broadcast_id: str


class AskBegin(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "bcgo"
    broadcast_id: str


class BeginBroadcast(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "bcgoyes"
    broadcast_id: str


class AskMoment(CallbackData, frozen=True, array_like=True):
    """Ask when it is to begin."""

    prefix: ClassVar[str] = "bcwhen"
    broadcast_id: str


class ScheduleBroadcast(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "bcatyes"
    broadcast_id: str
    at_s: int
    """Unix time."""


class UnscheduleBroadcast(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "bcnot"
    broadcast_id: str


class PauseBroadcast(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "bchold"
    broadcast_id: str


class ResumeBroadcast(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "bcon"
    broadcast_id: str


class AskCancel(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "bcend"
    broadcast_id: str


class CancelBroadcast(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "bcendyes"
    broadcast_id: str


class DiscardBroadcast(CallbackData, frozen=True, array_like=True):
    """Delete a draft."""

    prefix: ClassVar[str] = "bcgone"
    broadcast_id: str
