"""What a call did by an hour, a day and a week after it, and how it ended: rows first, then it is forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final, LiteralString

from msgspec import Struct

from domain.tracking.confirmation import GAP_S
from domain.tracking.outcome import HORIZONS_S, Ending, cause_of_death
from domain.tracking.standing import Standing, TokenState
from managers.storage.postgres import PostgresManager
from services.tracking.book import Book
from services.tracking.rows import moment

LATE_BY: Final = 0.1
"""Share of a horizon by which its return may be taken later."""
_PAGE: Final = 2_000
_SEEN: Final[LiteralString] = """
    UPDATE outcomes o SET
        peak_multiple = greatest(o.peak_multiple, x.peak_multiple),
        peak_at = CASE WHEN o.peak_multiple > x.peak_multiple THEN o.peak_at ELSE x.peak_at END,
        at_least = x.at_least, wick_multiple = x.wick_multiple,
        return_1h = coalesce(o.return_1h, x.return_1h), return_24h = coalesce(o.return_24h, x.return_24h),
        return_7d = coalesce(o.return_7d, x.return_7d), updated_at = $11, ended_at = x.ended_at, ending = x.ending
    FROM unnest($1::bigint[], $2::double precision[], $3::timestamptz[], $4::boolean[], $5::double precision[],
            $6::double precision[], $7::double precision[], $8::double precision[], $9::timestamptz[], $10::text[])
        AS x (number, peak_multiple, peak_at, at_least, wick_multiple, return_1h, return_24h, return_7d, ended_at,
            ending)
    WHERE o.number = x.number AND o.ended_at IS NULL
"""


class Seen(Struct, frozen=True, kw_only=True, gc=False):
    number: int
    peak_multiple: float
    peak_at: float
    at_least: bool
    wick_multiple: float | None
    returns: dict[int, float]
    ending: Ending | None


class Endings:
    def __init__(self, postgres: PostgresManager, tracked_for: timedelta) -> None:
        self._postgres = postgres
        self._tracked_for = tracked_for
        self.ended: dict[str, int] = {}
        """Calls, by why, since the start."""

    async def sweep(self, book: Book, chunk: int, *, since: datetime | None, now: datetime) -> None:
        """Write down what is due of the tokens of a part, and forget what has ended."""
        for key in sorted(book.keys[chunk]):
            token = book.tracker.number_of(key)
            state = book.tracker.state(token)
            cause = cause_of_death(state, state.at)
            seen = list(self._due(book, token, state, cause, since, now))
            for start in range(0, len(seen), _PAGE):
                await self._write(seen[start : start + _PAGE], now)
            ended = [one for one in seen if one.ending is not None]
            for one in ended:
                if one.ending is not None:
                    self.ended[one.ending] = self.ended.get(one.ending, 0) + 1
            if ended:
                book.forget(key, [one.number for one in ended])

    def _due(
        self, book: Book, token: int, state: TokenState, cause: Ending | None, since: datetime | None, now: datetime
    ) -> Iterator[Seen]:
        now_s = now.timestamp()
        since_s = now_s if since is None else since.timestamp()
        oldest = now_s - self._tracked_for.total_seconds()
        if cause is None and not _any_due(book, token, since_s, now_s, oldest):
            return
        for standing in book.tracker.standings(token):
            ending: Ending | None = "age" if standing.called_at < oldest else cause
            returns = dict(_returns(standing, state, since_s, now_s))
            if returns or ending is not None:
                yield _seen(standing, returns, ending)

    async def _write(self, seen: list[Seen], now: datetime) -> None:
        hour, day, week = HORIZONS_S
        await self._postgres.execute(
            _SEEN,
            [one.number for one in seen],
            [one.peak_multiple for one in seen],
            [moment(one.peak_at) for one in seen],
            [one.at_least for one in seen],
            [one.wick_multiple for one in seen],
            [one.returns.get(hour) for one in seen],
            [one.returns.get(day) for one in seen],
            [one.returns.get(week) for one in seen],
            [now if one.ending else None for one in seen],
            [one.ending for one in seen],
            now,
        )


def _any_due(book: Book, token: int, since_s: float, now_s: float, oldest: float) -> bool:
    """Most tokens have nothing to write down: no object is made for any of their entries."""
    at = book.tracker.watching.entries[token].column("at")
    if (at < oldest).any():
        return True
    return any(((at > since_s - horizon) & (at <= now_s - horizon)).any() for horizon in HORIZONS_S)


def _returns(standing: Standing, state: TokenState, since_s: float, now_s: float) -> Iterator[tuple[int, float]]:
    """What the call had made at each horizon that has passed since the last look, where the price is of that time."""
    for horizon in HORIZONS_S:
        due = standing.called_at + horizon
        if since_s < due <= now_s and state.at >= due - GAP_S and now_s - due <= LATE_BY * horizon:
            yield horizon, state.price_usd / standing.price_usd


def _seen(standing: Standing, returns: dict[int, float], ending: Ending | None) -> Seen:
    wick = standing.wick_usd
    return Seen(
        number=standing.entry,
        peak_multiple=standing.peak_multiple,
        peak_at=standing.peak_at,
        at_least=standing.at_least,
        wick_multiple=None if wick is None else wick / standing.price_usd,
        returns=returns,
        ending=ending,
    )
