"""Two channels are one: what an owner says so of, and takes back.

A control `merged` says it, which every process obeys within seconds; no row is rewritten. An other has one main and is
the main of nobody: into one that is merged itself, a channel is merged as into that one's main.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final, LiteralString

import msgspec
import structlog
from msgspec import Struct

from domain.admins.controls import Control
from domain.calls.merges import Merges
from managers.storage.postgres import PostgresManager, Statements
from runtime.errors import UserFacingError
from services.running.controls import LIFT, Controls

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_ALONE: Final[LiteralString] = "SELECT pg_advisory_xact_lock(hashtext('merged channels'))"
"""Two owners at once must not make a circle."""
_STANDING: Final[LiteralString] = """
    SELECT subject, main FROM controls WHERE name = 'merged' AND until IS NULL ORDER BY since, subject
"""
_MERGE: Final[LiteralString] = """
    INSERT INTO controls (name, subject, reason, main, admin_id, since) VALUES ('merged', $1, '', $2, $3, $4)
    ON CONFLICT (name, subject) DO UPDATE SET
        main = excluded.main, admin_id = excluded.admin_id, since = excluded.since, until = NULL
    RETURNING name, subject, reason, main, admin_id, since, until
"""
_DUE: Final[LiteralString] = """
    INSERT INTO records (kind, subject, due_at) SELECT 'channel', x, $2 FROM unnest($1::text[]) AS x
    ON CONFLICT (kind, subject) DO UPDATE SET due_at = least(records.due_at, excluded.due_at)
"""
_FIGURES: Final[LiteralString] = """
    SELECT (SELECT count(*) FROM calls WHERE channel_id = $1) AS other_calls,
        (SELECT count(*) FROM calls WHERE channel_id = ANY ($2)) AS main_calls,
        (SELECT count(*) FROM subscribers s, jsonb_array_elements(s.document -> 'filter_sets') f
            WHERE f #> '{rules,channel,included}' ? $1 OR f #> '{rules,channel,excluded}' ? $1) AS sets,
        (SELECT count(*) FROM subscribers s WHERE s.document #> '{preferences,muted_channels}' ? $1) AS muted_by
"""


class MergeFigures(Struct, frozen=True, kw_only=True):
    other_calls: int
    """That are kept."""
    main_calls: int
    """Of the main and of what is merged into it."""
    sets: int
    """Filter sets whose rule names the other."""
    muted_by: int
    """People who muted it."""


class Merging:
    def __init__(self, postgres: PostgresManager, controls: Controls, clock: Callable[[], datetime]) -> None:
        self._postgres = postgres
        self._controls = controls
        self._clock = clock

    def main_for(self, other: str, named: str) -> str:
        """Return into which channel it would be merged. `UserFacingError` where that cannot be."""
        return _main_for(self._controls.merges, other, named)

    async def figures(self, other: str, main: str) -> MergeFigures:
        """Say what a merge would put together. `TransientError`."""
        ids = list(self._controls.merges.ids_of(main))
        row = await self._postgres.fetch_row(_FIGURES, other, ids)
        return msgspec.convert(dict(row or {}), MergeFigures)

    async def merge(self, other: str, named: str, by: int) -> str:
        """From now on a channel is another one; return which. `UserFacingError`, `TransientError`."""
        self._controls.require_room("merged", other)
        now = self._clock()
        async with self._postgres.transaction() as statements:
            main = _main_for(await _standing(statements), other, named)
            row = await statements.fetch_row(_MERGE, other, main, by, now)
            await statements.execute(_DUE, [other, main], now)
        self._controls.note(msgspec.convert(dict(row or {}), Control))
        log.warning("channels_merged", channel_id=other, main=main, admin_id=by)
        return main

    async def separate(self, other: str, by: int) -> str | None:
        """Let a channel be its own again; return of which it was, `None` where it was of none. `TransientError`."""
        now = self._clock()
        async with self._postgres.transaction() as statements:
            main = (await _standing(statements)).mains.get(other)
            await statements.execute(LIFT, "merged", other, now)
            await statements.execute(_DUE, [other, *([main] if main else [])], now)
        if known := self._controls.find("merged", other):
            self._controls.note(msgspec.structs.replace(known, until=now))
        log.warning("channels_separated", channel_id=other, main=main, admin_id=by)
        return main


async def _standing(statements: Statements) -> Merges:
    """Return which channels are one, to whom nobody adds until the end of the transaction."""
    await statements.execute(_ALONE)
    return Merges.of((row["subject"], row["main"]) for row in await statements.fetch(_STANDING))


def _main_for(merges: Merges, other: str, named: str) -> str:
    main = merges.main_of(named)
    if main == other:
        raise UserFacingError("channels_admin.merge_same")
    if other in merges.others:
        raise UserFacingError("channels_admin.merge_has_others", count=len(merges.others[other]))
    if other in merges.mains:
        raise UserFacingError("channels_admin.merge_is_merged", main=merges.mains[other])
    return main
