"""Alerts as they are stored: in the outbox, held for a digest, waiting for a figure."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from msgspec import Struct

from domain.calls.events import Call
from domain.matching.matcher import PendingPair


class HeldCall(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A call that waits for a digest, or stands in one."""

    call_id: str
    token_address: str
    set_number: int
    score: int
    also: tuple[int, ...] = ()
    late_s: float | None = None
    received_at: datetime
    decided_at: datetime
    held_at: datetime
    due_at: datetime
    """When its digest was to go out, by the settings that it was held by."""
    reason: str
    """`domain.delivery.policy.HoldReason`."""
    may_repeat: bool = False
    """An earlier attempt to send it had an unknown outcome."""


class Alert(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One call for one subscriber. The call itself is stored once, see `Outbox.load_call`."""

    kind: ClassVar[str] = "alert"
    user_id: int
    call_id: str
    token_address: str
    set_number: int
    """The filter set that passed; of several the one by which all is counted that counts a call once."""
    also: tuple[int, ...] = ()
    """Their other filter sets that passed, ascending."""
    received_at: datetime
    decided_at: datetime
    late_s: float | None = None
    """It passed so long after the call, when a missing figure arrived; `None`: at once."""
    score: int = 50
    """`domain.calls.score.score` of the call."""

    @property
    def key(self) -> str:
        """Unique among everything that goes to the subscriber."""
        return self.call_id

    @property
    def record_ids(self) -> tuple[str, ...]:
        """Under which ids it is written down what became of it."""
        return (self.call_id,)


class WaitingCall(Struct, frozen=True, kw_only=True, gc=False):
    """A call that somebody still waits for."""

    call: Call
    pairs: tuple[PendingPair, ...]

    @property
    def until(self) -> datetime:
        return max(pair.until for pair in self.pairs)
