"""A month of calls in the archive, made in minutes: every column of a call, and what became of each.

The figures of one day are drawn once, log-normal and rounded as feeds round them; each further day has them in another
order, with its own ids, times, texts and tokens. A day's calls are of tokens that were new on it or on one of the two
days before; 5 % of them are of a token that nobody has called before.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from domain.backtest.columns import COLUMNS, FORMATS, OUTCOMES, filter_columns
from domain.filters.registry import FIELDS
from managers.archive.parquet import Archive

NEW_SHARE = 0.05
CHANNELS = 500
UNKNOWN = 0.1
"""Share of figures that nobody knows."""
POSTS = 20_000
"""Beginnings of posts; every post ends in another way."""
TOKEN_LENGTH = 44
WINS = 0.2
DAY = timedelta(days=1)
_CHANNEL_FIELDS = [field.key for field in FIELDS if field.group == "channel"]
_BASE58 = np.frombuffer(b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", dtype="S1")


class PastMonth:
    """`days` of `calls_a_day`, the last of them ending at `until`, which is a midnight (UTC)."""

    def __init__(self, directory: Path, *, days: int, calls_a_day: int, until: datetime) -> None:
        self._random = np.random.default_rng(11)
        self._calls = calls_a_day
        self._new = max(1, int(calls_a_day * NEW_SHARE))
        self._archive = Archive(directory, FORMATS)
        self._days = [(until - (days - number) * DAY).date() for number in range(days)]
        self._figures = self._draw()
        self._posts = pl.Series(
            [f"call number {n} of a coin that will surely go to the moon soon " for n in range(POSTS)]
        )

    async def write(self) -> None:
        for number, day in enumerate(self._days):
            calls = self._of_day(number, day)
            await self._archive.write("calls", day, _alone(calls))
            await self._archive.write("outcomes", day, _alone(self._outcomes(calls)))

    def _draw(self) -> pl.DataFrame:
        """A day's figures, field by field; those of a channel are the same in each of its calls."""
        channels = self._random.integers(0, CHANNELS, self._calls)
        columns: dict[str, pl.Series] = {"channel": pl.Series(channels, dtype=pl.Int32)}
        for place, field in enumerate(FIELDS):
            if field.unit in {"choice", "text"}:
                continue
            values = self._values(field.unit, 10.0 ** (2 + place % 4))
            if field.key in _CHANNEL_FIELDS:
                values = values[channels]
            known = self._random.random(self._calls) >= UNKNOWN
            columns[field.key] = pl.Series(np.where(known, values, np.nan)).fill_nan(None)
        return pl.DataFrame(columns)

    def _values(self, unit: str, median: float) -> np.ndarray:
        if unit == "flag":
            return self._random.integers(0, 2, self._calls).astype(np.float64)
        if unit in {"percent", "score"}:
            return np.round(self._random.random(self._calls) * 100, 1)
        values = median * np.exp(1.5 * self._random.standard_normal(self._calls))
        return np.round(values, 0 if unit in {"usd", "count", "duration"} else 2)

    def _of_day(self, number: int, day: date) -> pl.DataFrame:
        count, begin = self._calls, datetime.combine(day, datetime.min.time(), UTC)
        at = np.sort(self._random.integers(0, DAY // timedelta(microseconds=1), count))
        decided_at = pl.Series(at + int(begin.timestamp()) * 1_000_000).cast(pl.Datetime("us", "UTC"))
        figures = self._figures[int(self._random.integers(count)) :].vstack(self._figures)[:count]
        ids = pl.Series(np.arange(count) + number * count)
        token = self._token_numbers(number)
        texts = self._posts.gather(pl.Series(self._random.integers(0, POSTS, count)))
        columns = pl.DataFrame({"id": ids, "token": token, "decided_at": decided_at, "text": texts})
        named = (
            pl.DataFrame({"token_address": self._addresses(number)})
            .with_row_index("token")
            .with_columns(pl.col("token").cast(pl.Int64))
        )
        columns = columns.join(named, on="token", how="left", maintain_order="left").hstack(figures)
        return columns.select(
            call_id=pl.format("native:call:{}", "id"),
            number="id",
            token_address=pl.col("token_address"),
            called_at=pl.col("decided_at") - timedelta(seconds=1),
            received_at=pl.col("decided_at") - timedelta(milliseconds=5),
            decided_at="decided_at",
            reason=pl.when(pl.col("id") % 10 == 0).then(pl.lit("newcomers")).otherwise(pl.lit("new_channel")),
            token_name=pl.format("COIN{}", "token"),
            channel_title=pl.format("Channel {}", "channel"),
            **self._of_fields(),
        ).select(one.name for one in COLUMNS)

    def _of_fields(self) -> dict[str, pl.Expr]:
        made = {
            "chain": pl.lit("solana"),
            "launchpad": pl.lit("pump.fun"),
            "dex": pl.lit("pumpswap"),
            "name_words": pl.format("coin{} the {} coin", "token", "token"),
            "channel": pl.format("@channel_{}", "channel"),
            "message_words": pl.col("text") + pl.col("id").cast(pl.String()),
        }
        return {one.name: made.get(one.name, pl.col(one.name)) for one in filter_columns()}

    def _token_numbers(self, day: int) -> np.ndarray:
        """Of the three days' tokens, counted from the first of them; each of today's is called at least once."""
        first, last = max(0, day - 2), day + 1
        tokens = self._random.integers(0, (last - first) * self._new, self._calls)
        places = self._random.choice(self._calls, self._new, replace=False)
        tokens[places] = np.arange((last - first - 1) * self._new, (last - first) * self._new)
        return tokens

    def _addresses(self, day: int) -> pl.Series:
        """Of the tokens that are new on a day and the two before; the same on each of them."""
        found = [self._new_addresses(number) for number in range(max(0, day - 2), day + 1)]
        return pl.concat(found)

    def _new_addresses(self, day: int) -> pl.Series:
        random = np.random.default_rng(1_000 + day)
        letters = _BASE58[random.integers(0, len(_BASE58), (self._new, TOKEN_LENGTH))]
        return pl.Series([row.tobytes().decode() for row in letters])

    def _outcomes(self, calls: pl.DataFrame) -> pl.DataFrame:
        peaks = 1 + self._random.exponential(1 / np.log(1 / WINS), calls.height)
        return (
            calls.select("call_id", "token_address", "called_at")
            .with_columns(
                peak_multiple=pl.Series(np.round(peaks, 3)),
                reachable_multiple=pl.Series(np.round(peaks * 0.8, 3)),
                ended_at=pl.col("called_at") + DAY,
            )
            .select(one.name for one in OUTCOMES)
        )


async def _alone(part: pl.DataFrame) -> AsyncIterator[pl.DataFrame]:
    yield part
