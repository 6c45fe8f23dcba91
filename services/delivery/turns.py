"""An alert in the sender's hands."""

from __future__ import annotations

from msgspec import Struct

from domain.calls.events import Call
from domain.delivery.messages import Message
from services.claims.outbox import OutboxEntry


class Waiting(Struct, kw_only=True):
    entry: OutboxEntry
    call: Call | None = None
    """Read when the turn first comes; a digest has none."""
    digest: Message | None = None
    """A digest as it will be sent."""
    settled: bool = False
    """Its fate is written down."""
    pause_s: float = 0.0
    """How long to wait before the next attempt."""
    unknown: bool = False
    """An earlier attempt of this process may have arrived."""
    alone: bool = False
    """Telegram refused it together with others: each of them shows by itself whose fault it was."""

    @property
    def may_repeat(self) -> bool:
        return self.entry.may_repeat or self.unknown
