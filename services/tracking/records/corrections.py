"""Admins correct what a call counts for: excluded from every record, or measured from another price; or as it came.

Each correction is a row that stays: who, when, what, why. What it changes is computed anew at once.
"""

# ruff: noqa: S608 - put together of constants alone: the type checker refuses anything else

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final, Literal, LiteralString, get_args

import msgspec
import structlog
from msgspec import Struct

from domain.calls.addresses import as_kept
from domain.filters.lists import Unreadable
from domain.filters.numbers import Assumed, read_value
from managers.storage.postgres import PostgresManager
from runtime.errors import UserFacingError
from services.stores.counted import PEAK
from services.stores.merged import MERGED
from services.tracking.records.measuring import BASE
from services.tracking.records.refreshing import RecordsRefresh

log = structlog.get_logger(__name__)

Action = Literal["token", "pool", "repost", "price", "restore"]
ACTIONS: Final[tuple[Action, ...]] = get_args(Action)
"""`token`, `pool`, `repost`: why it is excluded. `price`: it was another one. `restore`: it counts as it came."""
CALLS_SHOWN: Final = 10
_HISTORY: Final = 5

_SELECT: Final[LiteralString] = (
    """
    SELECT o.number, o.call_id, o.token_address, coalesce(c.title, o.channel_id) AS channel, o.channel_id, o.symbol,
        o.called_at, o.measure, coalesce(CASE o.measure WHEN 'price' THEN o.price_usd ELSE o.market_cap_usd END, 0)
        AS price_usd, """
    + PEAK
    + """ AS multiple, o.excluded, o.scale,
        o.ended_at IS NULL AS open
    FROM outcomes o LEFT JOIN channels c USING (channel_id)
"""
)
_OF_TOKEN: Final[LiteralString] = _SELECT + " WHERE o.token_address = $1 ORDER BY o.called_at DESC LIMIT $2"
_BY_NUMBER: Final[LiteralString] = _SELECT + " WHERE o.number = $1"
_CORRECT: Final[LiteralString] = """
    WITH corrected AS (
        UPDATE outcomes SET excluded = $2, scale = $3, updated_at = $5 WHERE number = $1
            AND (excluded IS DISTINCT FROM $2 OR scale IS DISTINCT FROM $3) RETURNING call_id)
    INSERT INTO corrections (call_id, admin_id, corrected_at, action, scale, reason)
    SELECT call_id, $4, $5, $6, $3, $7 FROM corrected
"""
_HISTORY_OF: Final[LiteralString] = """
    SELECT admin_id, corrected_at, action, scale, reason FROM corrections WHERE call_id = $1 ORDER BY id DESC LIMIT $2
"""
_COUNTS_IN: Final[LiteralString] = (
    "SELECT 'channel' AS kind, main AS subject FROM "
    + MERGED
    + """ AS o WHERE channel_id = $2
    UNION ALL (
        SELECT kind, subject FROM record_calls WHERE call_id = $1 AND kind = 'preset' ORDER BY subject LIMIT 100)
"""
)


class CorrectedCall(Struct, frozen=True, kw_only=True):
    number: int
    call_id: str
    token_address: str
    channel: str
    """Attacker-controlled text."""
    channel_id: str
    symbol: str | None
    """Attacker-controlled text."""
    called_at: datetime
    measure: Literal["price", "market_cap"]
    price_usd: float
    """Or the market cap, by which it is measured, as it came."""
    multiple: float
    """As it counts."""
    excluded: str | None
    scale: float
    open: bool


class Correction(Struct, frozen=True, kw_only=True):
    admin_id: int
    corrected_at: datetime
    action: str
    scale: float
    reason: str


class Corrections:
    def __init__(self, *, postgres: PostgresManager, refresh: RecordsRefresh, clock: Callable[[], datetime]) -> None:
        self._postgres = postgres
        self._refresh = refresh
        self._clock = clock

    async def calls_of(self, address: str) -> list[CorrectedCall]:
        """Return the newest tracked calls of a token; `UserFacingError` where there is none."""
        rows = await self._postgres.fetch(_OF_TOKEN, as_kept(address.strip()), CALLS_SHOWN)
        if not rows:
            raise UserFacingError("correct.unknown_token", typed=address)
        return [msgspec.convert(dict(row), CorrectedCall) for row in rows]

    async def call(self, number: int) -> CorrectedCall:
        """`UserFacingError` for one that nobody knows."""
        row = await self._postgres.fetch_row(_BY_NUMBER, number)
        if row is None:
            raise UserFacingError("callback.stale")
        return msgspec.convert(dict(row), CorrectedCall)

    async def history(self, call: CorrectedCall) -> list[Correction]:
        """Return its latest corrections, the newest first."""
        rows = await self._postgres.fetch(_HISTORY_OF, call.call_id, _HISTORY)
        return [msgspec.convert(dict(row), Correction) for row in rows]

    async def correct(self, number: int, action: Action, admin_id: int, *, price_usd: float | None = None) -> bool:
        """Correct a call and all that it counts for; `False` where it stood like that already."""
        call = await self.call(number)
        excluded: str | None = None
        scale = call.scale
        match action:
            case "restore":
                scale = 1.0
            case "price":
                if not price_usd or not call.price_usd:
                    raise UserFacingError("correct.no_price")
                scale, excluded = call.price_usd / price_usd, call.excluded
            case "token" | "pool" | "repost":
                excluded = action
        now, reason = self._clock(), "" if price_usd is None else f"{price_usd:g}"
        tag = await self._postgres.execute(_CORRECT, number, excluded, scale, admin_id, now, action, reason)
        if tag.endswith(" 0"):
            return False
        log.info("record_corrected", call_id=call.call_id, action=action, scale=scale, admin_id=admin_id)
        others = await self._postgres.fetch(_COUNTS_IN, call.call_id, call.channel_id)
        affected = [(BASE, ""), ("channel", call.channel_id), *((row["kind"], row["subject"]) for row in others)]
        await self._refresh.recompute(affected)
        return True


def typed_price(typed: str) -> float:
    """Read a price in US dollars. `UserFacingError`."""
    try:
        value = read_value(typed.strip().lower(), "usd", Assumed())
    except Unreadable as error:
        raise UserFacingError("correct.no_price") from error
    if value <= 0:
        raise UserFacingError("correct.no_price")
    return value
