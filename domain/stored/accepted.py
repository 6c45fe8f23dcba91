"""The record that a subscriber gets, or got, an alert for a token."""

from __future__ import annotations

from datetime import datetime

import msgspec
from msgspec.structs import replace

from domain.calls.events import Call
from domain.matching.matcher import ProcessedToken


class AcceptedToken(ProcessedToken, frozen=True, kw_only=True):
    call_id: str
    """The call that was accepted."""

    @classmethod
    def of(cls, record: ProcessedToken, call: Call, at: datetime) -> AcceptedToken:
        return cls(**msgspec.structs.asdict(replace(record, timestamp=at)), call_id=call.id)
