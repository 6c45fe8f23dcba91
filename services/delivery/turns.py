"""An entry of the outbox in the sender's hands."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from msgspec import Struct

from domain.calls.events import Call
from domain.delivery.messages import Media, Message
from domain.delivery.policy import Send
from domain.stored.alerts import Alert
from services.claims.outbox import OutboxEntry

P = TypeVar("P", bound=Struct)


class QueuedMessage(Struct, kw_only=True):
    entry: OutboxEntry
    call: Call | None = None
    """Of an alert, read when the turn first comes."""
    payload: Struct | None = None
    """Of an envelope, read when the turn first comes."""
    message: Message | None = None
    """What was composed before the turn, where that takes time."""
    media: Media | None = None
    """What goes above it, where that was made before the turn."""
    verdict: Send = Send()
    """How it goes out, as was decided last."""
    handed_at: datetime | None = None
    """Of an alert: when it was composed to be handed to Telegram, at the last attempt."""
    settled: bool = False
    """Its fate is written down."""
    pause_s: float = 0.0
    """How long to wait before the next attempt."""
    turned_at: float | None = None
    """When it was first looked at, on the performance counter."""
    unknown: bool = False
    """An earlier attempt of this process may have arrived."""
    alone: bool = False
    """Telegram refused it together with others: each of them shows by itself whose fault it was."""

    @property
    def may_repeat(self) -> bool:
        return self.entry.may_repeat or self.unknown

    @property
    def kind(self) -> str:
        return self.entry.outgoing.kind

    @property
    def speed_s(self) -> float | None:
        """From the call's arrival here until the alert was handed to Telegram; `None` for anything but an alert."""
        outgoing = self.entry.outgoing
        if self.handed_at is None or not isinstance(outgoing, Alert):
            return None
        return max(0.0, (self.handed_at - outgoing.received_at).total_seconds())

    def payload_as(self, kind: type[P]) -> P:
        """Return the payload of an envelope; `TypeError` when it has none of this type."""
        if not isinstance(self.payload, kind):
            raise TypeError(f"{self.entry.outgoing.key} has no {kind.__name__}")
        return self.payload
