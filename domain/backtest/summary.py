"""What became of the calls that would have been accepted, in numbers that flatter nobody.

As in `domain/tracking/records.py`: tokens count, not calls; open ones count as they stand. What is not followed, or
does not count, is left out and counted.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import numpy as np
import polars as pl

from domain.backtest.results import Daily, Performance, ShownCall
from domain.tracking.records import MIN_TOKENS, WIN_MULTIPLE, Rate, rate

LISTED: Final = 10
_KNOWN: Final = pl.col("peak_multiple").is_not_null()
_WON: Final = pl.col("peak_multiple") >= WIN_MULTIPLE
_REACHABLE: Final = pl.min_horizontal("reachable_multiple", "peak_multiple").alias("reachable_multiple")
"""`domain.tracking.outcome.Outcome.counted_reachable`."""


class Outcomes:
    """Of the calls that are asked for, and of all tokens, part by part."""

    def __init__(self, since: datetime) -> None:
        """`since`: from when on calls count for the rate of all tokens."""
        self._since = since
        self._of_calls: list[pl.DataFrame] = []
        self._of_tokens: list[pl.DataFrame] = []

    def add(self, outcomes: pl.LazyFrame, call_ids: pl.DataFrame) -> None:
        """Take in what became of the calls of a day. What is added later holds against what was added before."""
        known = outcomes.filter(_KNOWN)
        asked = known.filter(pl.col("call_id").is_in(call_ids["call_id"].implode()))
        self._of_calls.append(_of_calls(asked).collect())
        tokens = known.filter(pl.col("called_at") >= self._since).select(
            token=pl.col("token_address").hash(), at=pl.col("called_at"), won=_WON
        )
        self._of_tokens.append(_firsts(tokens).collect())

    def refresh(self, outcomes: pl.DataFrame) -> None:
        """Take in what became of the calls that are asked for, as it is known now: also that one does not count."""
        self._of_calls.append(_of_calls(outcomes.lazy()).collect())

    def of_calls(self) -> pl.DataFrame:
        schema = {
            "call_id": pl.String(),
            "peak_multiple": pl.Float64(),
            "reachable_multiple": pl.Float64(),
            "is_open": pl.Boolean(),
        }
        found = pl.concat([pl.DataFrame(schema=schema), *self._of_calls])
        return found.unique("call_id", keep="last", maintain_order=True)

    def base(self) -> Rate | None:
        if not self._of_tokens:
            return None
        tokens = _firsts(pl.concat(self._of_tokens).lazy()).collect()
        return rate(int(tokens["won"].sum()), tokens.height) if tokens.height >= MIN_TOKENS else None


def _of_calls(outcomes: pl.LazyFrame) -> pl.LazyFrame:
    return outcomes.select("call_id", "peak_multiple", "reachable_multiple", is_open=pl.col("ended_at").is_null())


def _firsts(tokens: pl.LazyFrame) -> pl.LazyFrame:
    """Keep the earliest of each token; hashes of two may be alike, which no rate would show."""
    return tokens.group_by("token").agg(pl.col("won").sort_by("at").first(), pl.col("at").min())


def performance(accepted: pl.DataFrame, waited: int) -> Performance:
    """`accepted`: `Replay.accepted`, joined with `Outcomes.of_calls`."""
    known = _counted(accepted)
    counts = Performance(
        alerts=accepted.height,
        tokens=accepted["token_address"].n_unique(),
        known=known.height,
        open=int(known["is_open"].sum()),
        waited=waited,
    )
    if known.height < MIN_TOKENS:
        return counts
    reachable = known.filter(pl.col("reachable_multiple").is_not_null()).with_columns(_REACHABLE)
    is_told = reachable.height >= MIN_TOKENS
    worst_run, began_at = _worst_run(known)
    return Performance(
        alerts=counts.alerts,
        tokens=counts.tokens,
        known=counts.known,
        open=counts.open,
        waited=waited,
        wins=rate(known.filter(_WON).height, known.height),
        median_multiple=_median(known["peak_multiple"]),
        median_reachable=_median(reachable["reachable_multiple"]) if is_told else None,
        median_reachable_peak=_median(reachable["peak_multiple"]) if is_told else None,
        reachable_known=reachable.height,
        worst_run=worst_run,
        worst_run_from=began_at,
    )


def _counted(accepted: pl.DataFrame) -> pl.DataFrame:
    """Return of each token the first alert whose outcome is known and counts."""
    return accepted.filter(_KNOWN).sort("decided_at").unique("token_address", keep="first", maintain_order=True)


def _median(values: pl.Series) -> float:
    return float(np.median(values.to_numpy()))


def _worst_run(known: pl.DataFrame) -> tuple[int, datetime | None]:
    """Find the longest run, in the order of the alerts, that did not win."""
    runs = known.sort("decided_at").select("decided_at", won=_WON).with_columns(run=pl.col("won").cum_sum())
    lost = runs.filter(~pl.col("won")).group_by("run", maintain_order=True).agg(pl.len(), pl.col("decided_at").first())
    if not lost.height:
        return 0, None
    _, length, began_at = lost.row(int(lost["len"].arg_max() or 0))
    return length, began_at


def daily(accepted: pl.DataFrame) -> tuple[Daily, ...]:
    counts = (
        accepted.group_by(day=pl.col("decided_at").dt.date())
        .agg(alerts=pl.len(), known=_KNOWN.sum(), wins=_WON.fill_null(value=False).sum())
        .sort("day")
    )
    return tuple(Daily(*row) for row in counts.select("day", "alerts", "known", "wins").iter_rows())


def extremes(accepted: pl.DataFrame) -> pl.DataFrame:
    """Return the calls that are listed, the extreme ones first; of those that are as good, the earlier.

    Half of few are the best. Of those that are as bad, one that has ended is worse than one that may rise.
    """
    known = _counted(accepted).sort("peak_multiple", "decided_at", descending=[True, False])
    best = known.head(min(LISTED, (known.height + 1) // 2))
    worst = known.slice(best.height).sort("peak_multiple", "is_open", "decided_at").head(LISTED)
    return pl.concat([best.with_columns(is_best=True), worst.with_columns(is_best=False)])


def listed(extreme: pl.DataFrame, shown: pl.DataFrame) -> tuple[tuple[ShownCall, ...], tuple[ShownCall, ...]]:
    """Return the best and the worst of `extremes`. `shown`: what is shown of these calls."""
    rows = [*extreme.join(shown, on="call_id", how="left", maintain_order="left").iter_rows(named=True)]
    calls = [
        ShownCall(
            call_id=row["call_id"],
            token_address=row["token_address"],
            name=row["token_name"],
            channel=row["channel_title"] or row["channel"] or "",
            at=row["decided_at"],
            market_cap_usd=row["market_cap_usd"],
            multiple=row["peak_multiple"],
            is_open=row["is_open"],
        )
        for row in rows
    ]
    best = sum(row["is_best"] for row in rows)
    return tuple(calls[:best]), tuple(calls[best:])
