"""What is known of each token, by its number, as columns that both single numbers and numpy get at quickly."""

from __future__ import annotations

from array import array
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from domain.tracking.confirmation import MOVED_BY

NO_SOURCE: Final = 2**16 - 1
UNKNOWN: Final = float("nan")
DEAD_LIQUIDITY_USD: Final = 500.0
"""Less than this in a pool, and nobody can sell."""

MAX_LIQUIDITY_USD: Final = 1e15
NO_ROW: Final = 2**32 - 1

Tokens = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

FLOATS: Final = {
    "low": 0.0,
    "high": UNKNOWN,
    "next_up": float("inf"),
    "price": 1.0,
    "at": 0.0,
    "moved_at": 0.0,
    "moved_from": 1.0,
    "liquidity": UNKNOWN,
    "liquidity_at": 0.0,
    "thin_since": UNKNOWN,
    "ath": 0.0,
    "ath_at": 0.0,
    "wick": 0.0,
    "wick_at": 0.0,
    "gap_from": UNKNOWN,
    "gap_to": UNKNOWN,
    "before": UNKNOWN,
    "before_at": UNKNOWN,
    "before_source": UNKNOWN,
}
"""Column -> value of a number that is not in use. `low`, `high`: a tick above the one and up to the other can change
nothing; `high` is negative where the latest tick is evidence, so that none is quiet. `next_up`: below it no entry
reaches its next rung upwards. `price`, `at`: of the latest accepted tick. `moved_at`, `moved_from`: when the price last
became another one, by more than rounding, and which. `ath`: the highest confirmed price, `wick`: the highest accepted
one. `gap_from`, `gap_to`: all gaps that are not closed. `before`, its time and source: the tick before the latest one,
where that is evidence; NaN where there is none."""

BEFORE: Final = ("before", "before_at", "before_source")


class TokenColumns:
    """Grows by an eighth. A number that is not in use lets no tick pass as quiet."""

    def __init__(self) -> None:
        self.room = 0
        self.floats: dict[str, array[float]] = {name: array("d") for name in FLOATS}
        self.source: array[int] = array("H")
        self._views: dict[str, npt.NDArray[Any]] = {}
        self._last_row = np.empty(0, dtype=np.uint32)

    @property
    def nbytes(self) -> int:
        return self.room * (8 * len(FLOATS) + 2 + 4)

    def reserve(self, tokens: int) -> bool:
        """Make room for so many. Whether that took new arrays, so that views have to be fetched again."""
        if tokens <= self.room:
            return False
        more = max(64, self.room // 8, tokens - self.room)
        self._views = {}
        for name, value in FLOATS.items():
            self.floats[name] = self.floats[name] + array("d", [value]) * more
        self.source = self.source + array("H", [NO_SOURCE]) * more
        self.room += more
        self._last_row = np.empty(self.room, dtype=np.uint32)
        return True

    def clear(self, token: int) -> None:
        for name, value in FLOATS.items():
            self.floats[name][token] = value
        self.source[token] = NO_SOURCE

    def row(self, token: int) -> dict[str, float]:
        return {name: column[token] for name, column in self.floats.items()}

    def view(self, name: str) -> npt.NDArray[Any]:
        """The column as numpy sees it; it shares the memory."""
        view = self._views.get(name)
        if view is None:
            column = self.source if name == "source" else self.floats[name]
            view = self._views[name] = np.frombuffer(column, dtype=np.uint16 if name == "source" else np.float64)
        return view

    def move(self, tokens: Tokens, prices: Floats, ats: Floats, sources: npt.NDArray[np.uint16]) -> None:
        """Take in one tick of each token."""
        moved_from = self.view("moved_from")[tokens]
        moved = np.abs(prices - moved_from) > MOVED_BY * moved_from
        if moved.any():
            self.view("moved_at")[tokens[moved]], self.view("moved_from")[tokens[moved]] = ats[moved], prices[moved]
        self.view("price")[tokens], self.view("at")[tokens], self.view("source")[tokens] = prices, ats, sources

    def take_liquidity(self, token: int, liquidity_usd: float, at: float) -> None:
        """An older reading is ignored, as is what no pool can hold."""
        floats = self.floats
        if not 0 <= liquidity_usd <= MAX_LIQUIDITY_USD or at < floats["liquidity_at"][token]:
            return
        floats["liquidity"][token], floats["liquidity_at"][token] = liquidity_usd, at
        thin_since = floats["thin_since"]
        if liquidity_usd >= DEAD_LIQUIDITY_USD:
            thin_since[token] = UNKNOWN
        elif not thin_since[token] <= at:
            thin_since[token] = at

    def take_liquidities(self, tokens: Tokens, liquidity_usd: Floats, ats: Floats) -> None:
        """The same for many tokens, each of them once."""
        with np.errstate(invalid="ignore"):
            good = (liquidity_usd >= 0) & (liquidity_usd <= MAX_LIQUIDITY_USD)
            good &= ats >= self.view("liquidity_at")[tokens]
            tokens, liquidity_usd, ats = tokens[good], liquidity_usd[good], ats[good]
            thin = liquidity_usd < DEAD_LIQUIDITY_USD
            begins = thin & ~(self.view("thin_since")[tokens] <= ats)
        self.view("liquidity")[tokens], self.view("liquidity_at")[tokens] = liquidity_usd, ats
        self.view("thin_since")[tokens[~thin]] = UNKNOWN
        self.view("thin_since")[tokens[begins]] = ats[begins]

    def in_several_rows(self, tokens: Tokens) -> Flags:
        """Which rows are of a token that has more than one."""
        rows = np.arange(len(tokens), dtype=np.uint32)
        self._last_row[tokens] = rows
        earlier = tokens[self._last_row[tokens] != rows]
        self._last_row[earlier] = NO_ROW
        return self._last_row[tokens] == NO_ROW
