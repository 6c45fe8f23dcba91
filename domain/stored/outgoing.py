"""What an outbox carries: an alert, a digest, or an envelope with whatever another kind of message is made of.

`kind` names a row of the table of kinds (`services.delivery.kinds`). Everything between the claim and the sender reads
these three forms alone, so a kind that is added changes nothing here: its payload travels in an envelope.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import ClassVar, Final, Self

import msgspec
from msgspec import Struct

from domain.stored.alerts import Alert, HeldCall

_ONE_PART: Final = str.maketrans({"%": "%25", ":": "%3A"})


class Digest(Struct, frozen=True, kw_only=True, gc=False, tag_field="form", tag="digest"):
    """Calls that were held back for a subscriber, told together."""

    kind: ClassVar[str] = "digest"
    user_id: int
    decided_at: datetime
    """When it was put into the outbox."""
    held: tuple[HeldCall, ...]
    """At least one."""

    @property
    def key(self) -> str:
        return f"digest:{self.held[0].call_id}"

    @property
    def record_ids(self) -> tuple[str, ...]:
        return tuple(call.call_id for call in self.held)


class Envelope(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag_field="form", tag="envelope"):
    """One message of any other kind. It is sent once for each `(kind, user_id, subject, step)`."""

    kind: str
    user_id: int
    subject: str
    """What it is about, within its kind: an invoice, a call, a due time."""
    step: str = ""
    """Which of several messages about the subject: `paid`, `5x`."""
    decided_at: datetime
    """Freshness counts from here."""
    payload: msgspec.Raw
    """JSON of what the kind's composer makes the message from."""

    @classmethod
    def of(
        cls, kind: str, payload: Struct, *, user_id: int, subject: str, step: str = "", decided_at: datetime
    ) -> Self:
        """Decided to the millisecond, as its unique key in Redis has it."""
        return cls(
            kind=kind,
            user_id=user_id,
            subject=subject,
            step=step,
            decided_at=decided_at.replace(microsecond=decided_at.microsecond // 1000 * 1000),
            payload=msgspec.Raw(msgspec.json.encode(payload)),
        )

    @property
    def key(self) -> str:
        """Unique among everything that goes to the subscriber."""
        return ":".join((self.kind, self.subject.translate(_ONE_PART), self.step))

    @property
    def record_ids(self) -> tuple[str, ...]:
        return (self.key,)


Outgoing = Alert | Digest | Envelope


class _Head(Struct, frozen=True):
    form: str = "alert"
    """An alert has none: it is by far the most frequent, and was there first."""


_read_head: Final = msgspec.json.Decoder(_Head).decode
_READERS: Final[Mapping[str, Callable[[bytes], Outgoing]]] = {
    "alert": msgspec.json.Decoder(Alert).decode,
    "digest": msgspec.json.Decoder(Digest).decode,
    "envelope": msgspec.json.Decoder(Envelope).decode,
}


def read_outgoing(document: bytes) -> Outgoing:
    """Read an entry's document. Raises `msgspec.MsgspecError` or `UnicodeDecodeError`."""
    form = _read_head(document).form
    if form not in _READERS:
        raise msgspec.ValidationError(f"there is no form {form!r}")
    return _READERS[form](document)
