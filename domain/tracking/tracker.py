"""All calls at once: which rungs of the ladder a price lets them reach, each once, and what their peaks are.

A token has a range of prices in which a tick can change nothing for any of its entries; most ticks fall into it and
cost next to nothing. Others are evidence (`confirmation.py`), and what the evidence confirms moves entries
(`entries.py`) and peaks (`peaks.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from domain.tracking.batches import Ticks, look_at_many
from domain.tracking.columns import Floats, TokenColumns, Tokens
from domain.tracking.confirmation import GAP_S, MAX_PRICE_USD, MIN_PRICE_USD, NEAR, has_moved
from domain.tracking.crossings import Crossings
from domain.tracking.doubts import Doubts
from domain.tracking.entries import Entries, Ids
from domain.tracking.levels import Found
from domain.tracking.peaks import Peaks
from domain.tracking.standing import Standing, TokenState, known, standings_of, state_of
from domain.tracking.watch import Refused
from domain.tracking.watching import Watching

MAX_ID: Final = 2**32 - 1
MAX_TIME_S: Final = 2.0**32
_ROW: Final = itemgetter(0)
_NEAR_LOW: Final = 1 / NEAR
_MAX_MARKET_CAP_USD: Final = 1e30

Sources = npt.NDArray[np.uint16]


class Tracker:
    """Tokens are known by address, and by a number that is theirs until they are closed.

    Ids of entries are never used again. Sources are numbers below 65,535 that the caller chooses. From `many` ticks of
    a batch on that may change something, it is quicker to look at them together.
    """

    def __init__(self, *, many: int = 32) -> None:
        self._many = many
        self.columns = TokenColumns()
        self.watching = Watching(self.columns)
        self.next_id = 1
        self.count = 0
        """Entries."""
        self._number_of: dict[str, int] = {}
        self._addresses: list[str] = []
        self._free: list[int] = []
        self._fetch_columns()

    def _fetch_columns(self) -> None:
        floats = self.columns.floats
        self._low, self._high, self._price, self._at = floats["low"], floats["high"], floats["price"], floats["at"]
        self._moved_at, self._moved_from, self._source = floats["moved_at"], floats["moved_from"], self.columns.source
        self.watching.fetch_columns()

    # Tokens

    def __contains__(self, address: str) -> bool:
        return address in self._number_of

    def __len__(self) -> int:
        """Tokens."""
        return len(self._number_of)

    @property
    def addresses(self) -> Sequence[str]:
        """Of the tokens that are open."""
        return list(self._number_of)

    @property
    def refused(self) -> Refused:
        """Ticks that counted for nothing, and why."""
        return self.watching.refused

    @property
    def nbytes(self) -> int:
        """Without the addresses."""
        return self.columns.nbytes + self.watching.nbytes

    def number_of(self, address: str) -> int:
        """Raises `KeyError` for a token that is not open."""
        return self._number_of[address]

    def address_of(self, token: int) -> str:
        return self._addresses[token]

    def open(self, address: str, price_usd: float, at: float) -> int:
        """Follow a token from now on; `at` is when this price was true. One that is open stays as it is."""
        number = self._number_of.get(address)
        if number is not None:
            return number
        _check(price_usd, at)
        number = self._new_number(address)
        self._price[number], self._at[number] = price_usd, at
        self._moved_from[number], self._moved_at[number] = price_usd, at
        self.columns.floats["ath"][number], self.columns.floats["ath_at"][number] = price_usd, at
        self.watching.open(number, Entries(self.watching.pool), Peaks())
        return number

    def resume(
        self,
        address: str,
        state: Mapping[str, float],
        source: int,
        entries: Entries,
        peaks: Peaks,
        doubts: Doubts,
    ) -> int:
        """Follow a token as it was when a snapshot was taken; it is not open."""
        number = self._new_number(address)
        for name, value in {"moved_from": state["price"], **state}.items():
            self.columns.floats[name][number] = value
        self._source[number] = source
        self.watching.resume(number, entries, peaks, doubts)
        self.count += len(entries)
        return number

    def _new_number(self, address: str) -> int:
        number = self._free.pop() if self._free else len(self._addresses)
        if number == len(self._addresses):
            self._addresses.append(address)
        self._addresses[number] = address
        self._number_of[address] = number
        if self.columns.reserve(number + 1):
            self._fetch_columns()
        return number

    def close(self, token: int) -> None:
        """Forget the token with its entries. Its number may be given to another one."""
        self.count -= len(self.watching.entries[token])
        self.watching.close(token)
        self.columns.clear(token)
        del self._number_of[self._addresses[token]]
        self._addresses[token] = ""
        self._free.append(token)

    # Entries

    def add(
        self, token: int, channel: int, *, called_at: float, price_usd: float, market_cap_usd: float | None = None
    ) -> int:
        """Track a call from now on; returns its id. What is after the token's latest tick counts for it.

        A call that is more than `GAP_S` older than that is late: its peak will be "at least". Raises `ValueError` for a
        price that is none.
        """
        _check(price_usd, called_at)
        entry_id = self.next_id
        if entry_id > MAX_ID:
            raise ValueError("there are no more ids")
        market_cap = math.nan if market_cap_usd is None else min(market_cap_usd, _MAX_MARKET_CAP_USD)
        late = self._at[token] - called_at > GAP_S
        entries, peaks = self.watching.entries[token], self.watching.peaks[token]
        place = entries.add(price_usd, market_cap, entry_id, int(called_at), channel, late=late)
        peaks.add(place, price_usd, called_at)
        self.watching.added(token, 1, price_usd, price_usd, called_at)
        self.next_id += 1
        self.count += 1
        return entry_id

    def add_many(
        self, token: int, channels: Ids, called_at: Floats, prices_usd: Floats, market_caps_usd: Floats
    ) -> range:
        """The same as one `add` after the other; NaN for market caps that are unknown. Returns the ids."""
        if not len(prices_usd):
            return range(0)
        for extreme in (np.min, np.max):  # NaN comes through
            _check(float(extreme(prices_usd)), float(extreme(called_at)))
        ids = range(self.next_id, self.next_id + len(prices_usd))
        if ids[-1] > MAX_ID:
            raise ValueError("there are no more ids")
        columns = {
            "price": prices_usd,
            "market_cap": np.minimum(market_caps_usd, _MAX_MARKET_CAP_USD),
            "id": np.arange(ids.start, ids.stop, dtype=np.uint32),
            "at": called_at.astype(np.uint32),
            "channel": channels,
            "late": self._at[token] - called_at > GAP_S,
        }
        place = self.watching.entries[token].extend(columns)
        self.watching.peaks[token].add_many(place, prices_usd, called_at)
        highest = int(prices_usd.argmax())
        lowest = float(prices_usd.min())
        self.watching.added(token, len(ids), lowest, float(prices_usd[highest]), float(called_at[highest]))
        self.next_id = ids.stop
        self.count += len(ids)
        return ids

    def remove(self, token: int, ids: Sequence[int]) -> int:
        """Forget these entries; returns how many there were."""
        entries = self.watching.entries[token]
        kept = ~np.isin(entries.column("id"), np.asarray(ids, dtype=np.uint32))
        gone = len(entries) - int(np.count_nonzero(kept))
        if gone:
            self.watching.keep(token, kept)
            self.count -= gone
        return gone

    def older_than(self, token: int, called_before: float) -> list[int]:
        """Ids of the entries whose age ends them."""
        entries = self.watching.entries[token]
        return entries.column("id")[entries.column("at") < called_before].tolist()

    def mark_reached(self, token: int, entry_id: int, multiple: float) -> None:
        """An entry has reached this rung, by what others know: it will not be given again."""
        self.watching.mark_reached(token, entry_id, multiple)

    def mark_peak(self, token: int, entry_id: int, price_usd: float, at: float) -> None:
        """An entry, and with it every earlier one, has seen this price, by what others know. `KeyError`."""
        _check(price_usd, at)
        self.watching.mark_peak(token, entry_id, price_usd, at)

    def standings(self, token: int) -> list[Standing]:
        """How each entry of a token stands, in the order of their ids."""
        watching = self.watching
        return standings_of(watching.entries[token], watching.peaks[token], self.columns.row(token))

    def state(self, token: int) -> TokenState:
        return state_of(self.columns.row(token), self.watching.settled(token))

    def next_up(self, token: int) -> float:
        """Below it no entry reaches its next rung upwards; infinite without an entry."""
        return self.columns.floats["next_up"][token]

    def is_uncertain(self, token: int) -> bool:
        """Its latest ticks wait for others that confirm them."""
        return self.watching.is_watched(token)

    def is_doubted(self, token: int, source: int) -> bool:
        """What this source says of it counts only where another one agrees."""
        return source in self.watching.doubts(token)

    @property
    def uncertain(self) -> list[int]:
        """Tokens of which that is so."""
        return self.watching.watched

    # Prices

    def update(
        self, token: int, price_usd: float, at: float, source: int, liquidity_usd: float | None = None
    ) -> Sequence[Crossings]:
        """One tick. An older one than the token's latest is refused."""
        last = self._price[token]
        if (
            self._low[token] < price_usd <= self._high[token]
            and 0.0 <= at - self._at[token] <= GAP_S
            and _NEAR_LOW <= price_usd / last <= NEAR
        ):
            if price_usd != last:
                self._price[token] = price_usd
                if has_moved(price_usd, self._moved_from[token]):
                    self._moved_from[token], self._moved_at[token] = price_usd, at
            self._at[token] = at
            self._source[token] = source
            if liquidity_usd is not None:
                self.columns.take_liquidity(token, liquidity_usd, at)
            return ()
        return self.watching.look(token, price_usd, at, source, liquidity_usd)

    def update_batch(
        self, tokens: Tokens, prices_usd: Floats, ats: Floats, sources: Sources, liquidity_usd: Floats | None = None
    ) -> list[Crossings]:
        """The same as one `update` for each row; NaN where the liquidity is unknown.

        Quickest for tokens that have one row.
        """
        columns = self.columns
        last = columns.view("price")[tokens]
        with np.errstate(invalid="ignore", over="ignore"):
            since = ats - columns.view("at")[tokens]
            ratio = prices_usd / last
            quiet = (columns.view("low")[tokens] < prices_usd) & (prices_usd <= columns.view("high")[tokens])
            quiet &= (since >= 0) & (since <= GAP_S) & (ratio >= _NEAR_LOW) & (ratio <= NEAR)
        quiet &= ~columns.in_several_rows(tokens)
        columns.move(tokens[quiet], prices_usd[quiet], ats[quiet], sources[quiet])
        if liquidity_usd is not None:
            columns.take_liquidities(tokens[quiet], liquidity_usd[quiet], ats[quiet])
        rows = (~quiet).nonzero()[0]
        if not len(rows):
            return []
        liquidity = np.full(len(rows), math.nan) if liquidity_usd is None else liquidity_usd[rows]
        return self._look(Ticks(rows, tokens[rows], prices_usd[rows], ats[rows], sources[rows], liquidity))

    def _look(self, ticks: Ticks) -> list[Crossings]:
        """In the order of the rows that confirm them."""
        found: list[Found] = []
        if len(ticks.rows) >= self._many:
            found, ticks = look_at_many(self.watching, ticks)
        columns: tuple[npt.NDArray[Any], ...] = ticks
        for row, token, price, at, source, liquidity in zip(*(column.tolist() for column in columns), strict=True):
            found += ((row, some) for some in self.update(token, price, at, source, known(liquidity)))
        found.sort(key=_ROW)
        return [crossings for _, crossings in found]

    def close_gap(self, token: int, high_usd: float, reached_at: float, at: float) -> Sequence[Crossings]:
        """Candles say what happened where no tick came: nothing higher than this. What was reached then is late."""
        _check(high_usd, reached_at)
        return self.watching.close_gap(token, high_usd, reached_at, at)


def _check(price_usd: float, at: float) -> None:
    if not MIN_PRICE_USD <= price_usd <= MAX_PRICE_USD or not 0 <= at < MAX_TIME_S:
        raise ValueError("this is no price, or no time")
