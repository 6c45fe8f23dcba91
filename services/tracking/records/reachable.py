"""What could be had of a call by who acted on its first alert.

In: at the price that the tracker believed when that alert had been sent, with the liquidity known then
(`services.tracking.entries`). Out: at the highest confirmed price after it, with the liquidity at its rung, or that of
the entry where none was reached. Where the peak lay before the alert was sent, the best of what is known after it
counts: the entry itself, and the price an hour, a day and a week after the call; it may have been more. `None` where no
alert was sent, or neither price nor liquidity was known when it was.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from domain.tracking.outcome import HORIZONS_S, reachable_multiple
from managers.storage.postgres import Row

_RETURNS = ("return_1h", "return_24h", "return_7d")


def reachable_of(row: Row) -> float | None:
    """By a row of `statements.ENTERED`; `None` where it stands already."""
    liquidity = row["entry_liquidity_usd"]
    found = reachable_multiple(
        row["entry_multiple"],
        _peak_since_entry(row),
        entry_liquidity_usd=liquidity,
        peak_liquidity_usd=row["peak_liquidity_usd"] or liquidity,
    )
    return None if found == row["reachable_multiple"] else found


def _peak_since_entry(row: Row) -> float:
    entered_at: datetime = row["entry_at"]
    if row["peak_at"] is not None and row["peak_at"] >= entered_at:
        return max(row["peak_multiple"], row["entry_multiple"])
    later = [
        row[name]
        for name, horizon_s in zip(_RETURNS, HORIZONS_S, strict=True)
        if row[name] is not None and row["called_at"] + timedelta(seconds=horizon_s) >= entered_at
    ]
    return max([row["entry_multiple"], *later])
