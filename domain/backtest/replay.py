"""Who would have got which call: the flow chart of live matching for one person, over columns.

Calls come in the order in which they were decided, in chunks of at most a day (`replay`). The person counts as one who
had these sets for long, changed nothing, and had no token before the first call. Whom the matcher checked for them
stands in a call's reason: `first_check` and `new_channel` were checked for everybody who changed nothing, `newcomers`
were not, `stale` and `blocked` were for nobody. A token that was accepted is skipped for 14 days; after these the
person has a record of their own, which is followed call by call, as the matcher does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

import polars as pl
from msgspec import Struct

from domain.backtest.expressions import any_of, condition_of
from domain.calls.lifetimes import ACCEPTED_FOR, REJECTED_FOR
from domain.filters.registry import FIELDS, FilterField, FilterSet

CHECKED_FOR_ALL: Final = ("first_check", "new_channel")
FOR_NOBODY: Final = ("stale", "blocked")
_ORDER: Final = ("decided_at", "number")
_NEEDED: Final = frozenset({"call_id", "token_address", "decided_at", "number", "channel"})
_ACCEPTED: Final = {
    "token_address": pl.String(),
    "call_id": pl.String(),
    "decided_at": pl.Datetime("us", "UTC"),
    "number": pl.Int64(),
    "set_number": pl.Int64(),
    "again": pl.Boolean(),
}


class _Record(Struct):
    """What was checked for a person whose fourteen days with a token are over."""

    checked_at: datetime | None = None
    channels: set[str] = set()


class Replay:
    """Of one person's sets."""

    def __init__(self, filter_sets: Sequence[FilterSet], fields: Sequence[FilterField] = FIELDS) -> None:
        conditions = [
            (one.number, condition_of(one, fields)) for one in sorted(filter_sets, key=lambda one: one.number)
        ]
        self._passed_set = _first_that_passes([(number, one.passes) for number, one in conditions])
        self._waits = any_of(one.waits for _, one in conditions)
        self.may_pass = any_of(one.may_pass for _, one in conditions)
        """True of each call that a set lets pass or waits for, and of some others."""
        self.columns = frozenset[str]().union(*(one.columns for _, one in conditions))
        """Columns that the rules look at."""
        self._accepted: list[pl.DataFrame] = []
        self._last = pl.DataFrame(schema={"token_address": pl.String(), "accepted_at": _ACCEPTED["decided_at"]})
        """When each token was accepted last."""
        self._records: dict[str, _Record] = {}
        self._waited: set[str] = set()

    def accepted(self) -> pl.DataFrame:
        """Return what was accepted so far, in order: `again` where the token had been accepted before."""
        return pl.concat(self._accepted) if self._accepted else pl.DataFrame(schema=_ACCEPTED)

    @property
    def waited(self) -> int:
        """Tokens of which a call would have waited for a value: what came later is not known."""
        return len(self._waited)

    def ended(self, until: datetime) -> pl.DataFrame:
        """Return tokens whose fourteen days are over by then, and when they were accepted."""
        return self._last.filter(pl.col("accepted_at") + ACCEPTED_FOR <= until)

    def take(self, wanted: pl.DataFrame, over: pl.DataFrame) -> None:
        """Take the next calls in: of all that `may_pass`, and of the tokens that have `ended` every one."""
        wanted = self._judged(wanted).filter(pl.col("set_number").is_not_null() | pl.col("waits"))
        found = wanted.join(_those_of(self._last, wanted), on="token_address", how="anti", maintain_order="left")
        firsts = found.filter(pl.col("set_number").is_not_null()).unique(
            "token_address", keep="first", maintain_order=True
        )
        self._note_waiting(found, firsts)
        fresh = firsts.with_columns(again=pl.lit(value=False)).select(*_ACCEPTED)
        later = self._accepted_again(self._judged(over))
        self._keep(pl.concat([fresh, later]).sort(_ORDER) if later.height else fresh)

    def _judged(self, calls: pl.DataFrame) -> pl.DataFrame:
        return calls.with_columns(set_number=self._passed_set, waits=self._waits)

    def _note_waiting(self, found: pl.DataFrame, firsts: pl.DataFrame) -> None:
        """Note what waited before anything of the token passed."""
        waiting = found.filter(pl.col("set_number").is_null())
        if waiting.height:
            at = firsts.select("token_address", accepted_at="decided_at")
            before = waiting.join(at, on="token_address", how="left").filter(
                pl.col("accepted_at").is_null() | (pl.col("decided_at") < pl.col("accepted_at"))
            )
            self._waited.update(before["token_address"].unique().to_list())

    def _keep(self, accepted: pl.DataFrame) -> None:
        if not accepted.height:
            return
        self._accepted.append(accepted)
        latest = accepted.group_by("token_address").agg(accepted_at=pl.col("decided_at").max())
        again = accepted.filter("again").select("token_address")
        kept = self._last.join(again, on="token_address", how="anti") if again.height else self._last
        self._last = pl.concat([kept, latest])

    def _accepted_again(self, over: pl.DataFrame) -> pl.DataFrame:
        """Return what is accepted of tokens whose fourteen days are over."""
        calls = over.join(self._last, on="token_address", how="inner", maintain_order="left").filter(
            pl.col("decided_at") >= pl.col("accepted_at") + ACCEPTED_FOR
        )
        accepted = calls[list(self._followed(calls))] if calls.height else calls
        return accepted.with_columns(again=pl.lit(value=True)).select(*_ACCEPTED)

    def _followed(self, over: pl.DataFrame) -> Iterator[int]:
        """Yield the place of each call that is accepted."""
        columns = over.select("token_address", "decided_at", "channel", "set_number")
        until: dict[str, datetime] = {}
        for place, (token, at, channel, set_number) in enumerate(columns.iter_rows()):
            if token in until and at < until[token]:
                continue
            record = self._records.setdefault(token, _Record())
            if record.checked_at is not None and at >= record.checked_at + REJECTED_FOR:
                record.channels = set()
            if channel in record.channels:
                continue
            record.channels.add(channel)
            record.checked_at = at
            if set_number is not None:
                until[token] = at + ACCEPTED_FOR
                self._records.pop(token)
                yield place


def replay(replays: Sequence[Replay], calls: pl.LazyFrame, until: datetime) -> None:
    """Let each take in the next calls, which were decided before `until`; they are read once for all of them."""
    columns = sorted(_NEEDED.union(*(one.columns for one in replays)))
    may_pass = any_of(one.may_pass for one in replays)
    found = calls.filter(pl.col("reason").is_in(CHECKED_FOR_ALL) & may_pass).select(columns).collect().sort(_ORDER)
    ended = pl.concat([one.ended(until) for one in replays]).select("token_address")
    over = found.clear()
    if ended.height:
        ended = _those_of(ended, calls.select("token_address").unique().collect()).unique()
    if ended.height:
        is_one = pl.col("token_address").is_in(ended["token_address"].implode())
        over = calls.filter(~pl.col("reason").is_in(FOR_NOBODY) & is_one).select(columns).collect().sort(_ORDER)
    for one in replays:
        one.take(found, over)


def _those_of(tokens: pl.DataFrame, calls: pl.DataFrame) -> pl.DataFrame:
    """Return which of many tokens are among some calls: what is asked of many is made of few."""
    return tokens.select("token_address").join(calls.select("token_address"), on="token_address", how="semi")


def _first_that_passes(conditions: Sequence[tuple[int, pl.Expr]]) -> pl.Expr:
    """Return the number of the first set that passes, null where none does."""
    number = pl.lit(None, pl.Int64())
    for set_number, passes in reversed(conditions):
        number = pl.when(passes).then(pl.lit(set_number, pl.Int64())).otherwise(number)
    return number
