"""What a journal entry holds, beside subscribers."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import Struct

from domain.calls.events import Call

DeliveryStatus = Literal["sent", "merged", "digest", "withheld", "dead", "unrecorded"]


class DeliveryRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one message to one subscriber. `(call_id, user_id, kind)` is its identity."""

    call_id: str
    """Of what is about no call: `domain.stored.outgoing.Envelope.key`."""
    user_id: int
    kind: str = "alert"
    set_number: int
    status: DeliveryStatus
    """`merged`: it went out in one message with others; `digest`: it is held for a digest, which has a row of its own
    with kind `digest`; `withheld`: `reason` says why nothing goes out; `dead`: Telegram never takes it; `unrecorded`:
    it is settled, but how was lost with PostgreSQL's data."""
    message_id: int | None = None
    chat_id: int | None = None
    """Where the message is."""
    decided_at: datetime
    sent_at: datetime | None = None
    latency_s: float | None = None
    """From `received_at` of the call to `sent_at`."""
    may_repeat: bool = False
    """An earlier attempt had an unknown outcome."""
    reason: str | None = None


class DecidedCall(Struct, frozen=True, kw_only=True):
    """A call as it was decided, whoever it was accepted for."""

    call: Call
    decided_at: datetime
    reason: str
    """`domain.matching.matcher.Reason`, or `stale`: too old to be news, held against nobody's filters."""
    checked_channels: tuple[str, ...]
    """The channels whose calls of this token count as checked by now, for who changed nothing meanwhile."""
