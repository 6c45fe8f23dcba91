"""On what the ledger and a network do not agree, in the one form that admins see."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Difference(Struct, frozen=True, kw_only=True):
    source: Literal["solana", "nowpayments", "stars"]
    what: str
    """A short key: `not_recorded`, `recorded_not_there`, `amount`, `refund_not_recorded`."""
    key: str
    """That of the arrival."""
    detail: str = ""
