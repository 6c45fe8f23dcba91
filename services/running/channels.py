"""Channels as admins see them: when they called last and how often, what is said of them here, their latest calls."""

# ruff: noqa: S608 - put together of constants alone: the type checker refuses anything else

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from hashlib import md5
from typing import Final, Literal, LiteralString, cast, get_args

import msgspec
from msgspec import Struct

from managers.storage.postgres import PostgresManager
from runtime.errors import UserFacingError
from services.running.controls import Controls
from services.stores.counted import PEAK
from services.stores.merged import counted_for

Which = Literal["latest", "blocked", "featured", "merged"]
WHICH: Final[tuple[Which, ...]] = get_args(Which)
COUNTED_DAYS: Final = 7
CALLS_SHOWN: Final = 6
FOUND: Final = 10

_SHOWN: Final[LiteralString] = (
    """
    WITH found AS (FOUND)
    SELECT c.channel_id, left(md5(c.channel_id), 16) AS tag, c.title, last.called_at AS last_at,
        coalesce(week.calls, 0) AS calls, counted.since, c.total
    FROM found c
    CROSS JOIN LATERAL (SELECT """
    + counted_for("c.channel_id")
    + """ AS ids) all_of
    LEFT JOIN LATERAL (
        SELECT min(called_at) AS first_at, max(called_at) AS called_at
        FROM calls WHERE calls.channel_id = ANY (all_of.ids)) last ON true
    LEFT JOIN LATERAL (
        SELECT min(added_at) AS added_at FROM read_channels
        WHERE channel = ANY (all_of.ids) AND state NOT IN ('suggested', 'refused')) listed ON true
    CROSS JOIN LATERAL (SELECT greatest($1, coalesce(listed.added_at, last.first_at)) AS since) counted
    LEFT JOIN LATERAL (
        SELECT count(*) AS calls FROM calls
        WHERE calls.channel_id = ANY (all_of.ids) AND called_at >= counted.since) week ON true
    ORDER BY c.place
"""
)
_LATEST_FOUND: Final[LiteralString] = """
    SELECT channel_id, title, count(*) OVER () AS total,
        row_number() OVER (ORDER BY updated_at DESC, channel_id) AS place
    FROM channels WHERE NAMED ORDER BY updated_at DESC, channel_id OFFSET $2 LIMIT $3
"""
_LATEST: Final[LiteralString] = _SHOWN.replace("FOUND", _LATEST_FOUND.replace("NAMED", "true"))
_CALLED: Final[LiteralString] = _SHOWN.replace(
    "FOUND",
    _LATEST_FOUND.replace(
        "NAMED", "(position(lower($4) IN lower(channel_id)) > 0 OR position(lower($4) IN lower(title)) > 0)"
    ),
)
_AMONG: Final[LiteralString] = _SHOWN.replace(
    "FOUND",
    """
    SELECT x.id AS channel_id, c.title, count(*) OVER () AS total, x.place
    FROM unnest($4::text[]) WITH ORDINALITY AS x (id, place) LEFT JOIN channels c ON c.channel_id = x.id
    ORDER BY x.place OFFSET $2 LIMIT $3
    """,
)
_BY_TAG: Final[LiteralString] = "SELECT channel_id FROM channels WHERE left(md5(channel_id), 16) = $1"
_OF_ANY: Final[LiteralString] = "SELECT x AS channel_id FROM unnest($2::text[]) x WHERE left(md5(x), 16) = $1"
_PLACE: Final[LiteralString] = """
    SELECT count(*) AS place FROM channels c, (SELECT updated_at, channel_id FROM channels WHERE channel_id = $1) one
    WHERE c.updated_at > one.updated_at OR (c.updated_at = one.updated_at AND c.channel_id < one.channel_id)
"""
_CALLS: Final[LiteralString] = (
    """
    SELECT o.number, o.symbol, o.called_at, """
    + PEAK
    + """ AS multiple,
        o.excluded IS NOT NULL AS excluded
    FROM outcomes o WHERE o.channel_id = ANY ("""
    + counted_for("$1::text")
    + ") ORDER BY o.called_at DESC LIMIT $2"
)


class ChannelRow(Struct, frozen=True, kw_only=True):
    channel_id: str
    tag: str
    """Stands for the id, which may be longer than a button can carry."""
    title: str | None
    """Attacker-controlled text, as the id is."""
    last_at: datetime | None
    """Its last call that is kept."""
    calls: int
    """Since then, those of the channels that are merged into it included."""
    since: datetime
    """The last `COUNTED_DAYS` days, or as long as it has been read; of one that is not read, since its first call."""


class ChannelRows(Struct, frozen=True, kw_only=True):
    total: int
    rows: Sequence[ChannelRow]


class ChannelCall(Struct, frozen=True, kw_only=True):
    number: int
    symbol: str | None
    """Attacker-controlled text."""
    called_at: datetime
    multiple: float
    excluded: bool


def tag_of(channel_id: str) -> str:
    """Stand for an id in a button, as `ChannelRow.tag` does."""
    return md5(channel_id.encode(), usedforsecurity=False).hexdigest()[:16]


class ChannelsAdmin:
    def __init__(self, postgres: PostgresManager, controls: Controls, clock: Callable[[], datetime]) -> None:
        self._postgres = postgres
        self._controls = controls
        self._clock = clock

    async def page(self, which: Which, offset: int, limit: int) -> ChannelRows:
        """Those that called latest first; of the others all."""
        if which == "latest":
            return await self._read(_LATEST, offset, limit)
        return await self._read(_AMONG, offset, limit, sorted(self._controls.of(which)))

    async def called(self, typed: str) -> ChannelRows:
        """Return whose id or title has these words. `UserFacingError` where none has."""
        found = await self._read(_CALLED, 0, FOUND, typed.strip()) if typed.strip() else None
        if found is None or not found.rows:
            raise UserFacingError("channels_admin.none_called", typed=typed)
        return found

    async def _read(self, statement: LiteralString, offset: int, limit: int, *more: str | list[str]) -> ChannelRows:
        since = self._clock() - timedelta(days=COUNTED_DAYS)
        rows = await self._postgres.fetch(statement, since, offset, limit, *more)
        total = cast("int", rows[0]["total"]) if rows else 0
        return ChannelRows(total=total, rows=[msgspec.convert(dict(row), ChannelRow) for row in rows])

    async def knows(self, channel_id: str) -> bool:
        """Whether it has called, so that there is something to see of it."""
        return await self._postgres.fetch_row(_BY_TAG, tag_of(channel_id)) is not None

    async def require(self, tag: str) -> ChannelRow:
        """Return the channel behind a button. `UserFacingError` where it is gone."""
        row = await self._postgres.fetch_row(_BY_TAG, tag)
        if row is None:
            marked = sorted(self._controls.of("blocked") | self._controls.of("featured") | self._controls.of("merged"))
            row = await self._postgres.fetch_row(_OF_ANY, tag, marked)
        if row is None:
            raise UserFacingError("callback.stale")
        return await self.row(cast("str", row["channel_id"]))

    async def row(self, channel_id: str) -> ChannelRow:
        """Return what is said of a channel, also of one that nobody knows."""
        return (await self._read(_AMONG, 0, 1, [channel_id])).rows[0]

    async def place(self, channel_id: str) -> int:
        """Return how many called later than this one: so many stand before it."""
        row = await self._postgres.fetch_row(_PLACE, channel_id)
        return cast("int", row["place"]) if row else 0

    async def calls_of(self, channel_id: str) -> list[ChannelCall]:
        """Return the latest calls that are tracked, and can be corrected."""
        rows = await self._postgres.fetch(_CALLS, channel_id, CALLS_SHOWN)
        return [msgspec.convert(dict(row), ChannelCall) for row in rows]
