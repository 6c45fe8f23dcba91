"""Feeds and providers, as admins see them: paused, resumed, and asked for the past once more."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, LiteralString, cast

from managers.storage.postgres import PostgresManager
from runtime.errors import UserFacingError
from services.running.controls import Controls
from services.running.orders import Orders
from services.running.processes import Processes, SourceState

REPLAY: Final = "replay"
"""The order; its argument is a cursor."""
MAX_BACK: Final = timedelta(days=7)
MAX_CURSOR: Final = 2**53

_CURSOR_AT: Final[LiteralString] = """
    SELECT (document ->> 'cursor')::bigint AS cursor FROM calls
    WHERE decided_at <= $1 AND decided_at > $1 - interval '1 day' AND document ->> 'cursor' IS NOT NULL
    ORDER BY decided_at DESC LIMIT 1
"""


class Sources:
    def __init__(
        self,
        *,
        feed: str,
        replays: bool,
        controls: Controls,
        orders: Orders,
        processes: Processes,
        postgres: PostgresManager,
        clock: Callable[[], datetime],
    ) -> None:
        """`feed`: name of the source of calls; `replays`: whether it has a past."""
        self.feed = feed
        self.replays = replays
        self._controls = controls
        self._orders = orders
        self._processes = processes
        self._postgres = postgres
        self._clock = clock

    async def states(self) -> list[tuple[str, SourceState]]:
        """Return each source with the process that asks it; without one what no process speaks of."""
        found = [(one.owner, source) for one in await self._processes.all() for source in one.sources]
        seen = {source.name for _, source in found}
        unseen = sorted((self._controls.of("source") | {self.feed}) - seen)
        more = [("", SourceState(name=name, kind="", ok=False, rests=self._rests(name))) for name in unseen]
        return [*found, *more]

    async def require(self, name: str) -> str:
        """Return the name of a source that there is, or raise `UserFacingError`."""
        if name not in {source.name for _, source in await self.states()}:
            raise UserFacingError("callback.stale")
        return name

    async def kind_of(self, name: str) -> str:
        """Return what it is asked for, by whoever asks it: `feed`, `prices` or `figures`."""
        if await self.require(name) == self.feed:
            return "feed"
        kinds = {source.kind for _, source in await self.states() if source.name == name}
        return "figures" if kinds == {"figures"} else "prices"

    async def pause(self, name: str, by: int) -> None:
        await self._controls.put("source", await self.require(name), "", by)

    async def resume(self, name: str, by: int) -> bool:
        return await self._controls.lift("source", name, by)

    async def cursor_of(self, typed: str) -> int:
        """Read a cursor, or a time (`14:30`, `2026-11-30 14:30`, UTC), as after which to fetch. `UserFacingError`."""
        if not self.replays:
            raise UserFacingError("sources.no_past")
        typed = typed.strip()
        if typed.isascii() and typed.isdecimal():
            if int(typed) > MAX_CURSOR:
                raise UserFacingError("sources.unreadable")
            return int(typed)
        moment, now = self._moment(typed), self._clock()
        if not now - MAX_BACK <= moment <= now:
            raise UserFacingError("sources.out_of_reach", days=MAX_BACK.days)
        row = await self._postgres.fetch_row(_CURSOR_AT, moment)
        if row is None:
            raise UserFacingError("sources.nothing_before")
        return cast("int", row["cursor"])

    def _moment(self, typed: str) -> datetime:
        now = self._clock()
        for pattern, dated in (("%Y-%m-%d %H:%M", True), ("%H:%M", False)):
            try:
                read = datetime.strptime(typed, pattern).replace(tzinfo=now.tzinfo)
            except ValueError:
                continue
            if dated:
                return read
            today = now.replace(hour=read.hour, minute=read.minute, second=0, microsecond=0)
            return today if today <= now else today - timedelta(days=1)
        raise UserFacingError("sources.unreadable")

    async def replay(self, cursor: int) -> bool:
        """Have the feed's past after this fetched once more; `False`: only this process heard of it."""
        return await self._orders.give(REPLAY, str(cursor))

    def _rests(self, name: str) -> bool:
        return self._controls.stands("source", name)
