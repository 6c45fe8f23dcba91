"""Where the ledger and a network do not agree, whichever network it is."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Difference(Struct, frozen=True, kw_only=True):
    source: Literal["solana", "nowpayments", "stars"]
    what: str
    """A short key: `not_recorded`, `recorded_not_there`, `amount`, `refund_not_recorded`."""
    key: str
    """Of the arrival, or an id of the source."""
    detail: str = ""
