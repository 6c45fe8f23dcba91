"""What admins did: written down before it is done, and again with what came of it. And read again.

It goes the way of everything that lasts, by the journal, so nothing is done that cannot be written down, and nothing
waits for PostgreSQL. Who was deleted leaves what was done about them, without its parameters.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, LiteralString, cast

import msgspec
import structlog
from msgspec import Struct

from domain.admins.deeds import Deed
from managers.storage.postgres import PostgresManager, Row
from runtime.cancellation import stop_if_cancelled
from runtime.errors import TransientError, UserFacingError
from services.stores.journal import Journal, entry

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

MAX_EXPORTED: Final = 100_000
COLUMNS: Final = ("number", "at", "admin_id", "role", "action", "user_id", "details", "outcome", "said")
_SELECT: Final[LiteralString] = """
    SELECT number, at, admin_id, role, action, user_id, details, outcome, said FROM admin_actions
    WHERE ($1::bigint IS NULL OR admin_id = $1) AND ($2::bigint IS NULL OR user_id = $2)
    ORDER BY at DESC, number DESC
"""
_PAGE: Final[LiteralString] = _SELECT + " OFFSET $3 LIMIT $4"
_EXPORT: Final[LiteralString] = _SELECT + " LIMIT $3"
_COUNT: Final[LiteralString] = """
    SELECT count(*) AS count FROM admin_actions
    WHERE ($1::bigint IS NULL OR admin_id = $1) AND ($2::bigint IS NULL OR user_id = $2)
"""
_WHO: Final[LiteralString] = """
    SELECT admin_id, count(*) AS count FROM admin_actions GROUP BY admin_id ORDER BY count DESC, admin_id LIMIT $1
"""


class Whose(Struct, frozen=True, kw_only=True):
    """Which of it; all where neither is named."""

    admin_id: int | None = None
    user_id: int | None = None


class Actions(Struct, frozen=True, kw_only=True):
    total: int
    deeds: Sequence[Deed]
    """One page, the latest first."""


def new_number() -> str:
    return secrets.token_hex(8)


class AuditService:
    def __init__(self, journal: Journal, postgres: PostgresManager) -> None:
        self._journal = journal
        self._postgres = postgres

    @asynccontextmanager
    async def recording(self, deed: Deed) -> AsyncGenerator[None]:
        """Write down what is done in the block. A `TransientError` before it: then it is not done.

        If what came of it cannot be written down, it stays `begun`.
        """
        await self._write(deed)
        try:
            yield
        except UserFacingError as error:
            deed.end("refused", error.key)
            raise
        except BaseException as error:
            deed.end("failed", type(error).__name__)
            raise
        else:
            deed.end("done", "")
        finally:
            await asyncio.shield(self._end(deed))

    async def _end(self, deed: Deed) -> None:
        log.info("admin_acted", admin_id=deed.admin_id, action=deed.action, outcome=deed.outcome, number=deed.number)
        try:
            await self._write(deed)
        except TransientError as error:
            log.warning("admin_action_left_open", number=deed.number, reason=str(error))
            stop_if_cancelled()

    async def _write(self, deed: Deed) -> None:
        document = self._journal.sealer.seal(msgspec.json.encode(deed))
        await self._journal.append_with([], [entry("admin_action", document)])

    async def page(self, whose: Whose, offset: int, limit: int) -> Actions:
        """What was done in this moment may be lacking."""
        rows = await self._postgres.fetch(_PAGE, whose.admin_id, whose.user_id, offset, limit)
        return Actions(total=await self.count(whose), deeds=[_deed(row) for row in rows])

    async def count(self, whose: Whose) -> int:
        row = await self._postgres.fetch_row(_COUNT, whose.admin_id, whose.user_id)
        return cast("int", row["count"]) if row else 0

    async def who(self, limit: int) -> list[int]:
        """Return who has done anything, the busiest first."""
        return [row["admin_id"] for row in await self._postgres.fetch(_WHO, limit)]

    async def rows(self, whose: Whose) -> AsyncIterator[Sequence[dict[str, object]]]:
        """Yield all of it in batches, the latest first."""
        async for batch in self._postgres.stream(_EXPORT, whose.admin_id, whose.user_id, MAX_EXPORTED):
            yield [dict(row) for row in batch]


def _deed(row: Row) -> Deed:
    return msgspec.convert(dict(row), Deed)
