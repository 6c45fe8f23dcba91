"""Which PostgreSQL belongs to this Redis, and whether it still holds what was committed to it.

PostgreSQL has an id of its own since its schema was made, and notes with every batch of the journal how far that has
come. Redis knows both. So a database that was emptied, restored from an older backup or taken from somebody else is
told from one that is new: a new pair knows nothing of each other. What is missing is written back from Redis by
`services.recovery.postgres_fill`; until then nobody takes PostgreSQL's word for complete.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Literal, LiteralString, cast

import structlog
from msgspec import Struct

from managers.redis.client import Command, RedisManager, Reply
from managers.storage.postgres import PostgresManager, PostgresSchemaError, PostgresUnavailableError, Row, Statements
from services.stores import keys

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

State = Literal["whole", "new", "waiting", "emptied", "behind", "filling", "foreign"]
"""`new`: the two have just met, and belong together from now on. `waiting`: Redis was emptied, and is to be filled
first. `emptied`: everything is gone. `behind`: a backup, or a stand-by that lagged. `filling`: somebody has begun to
write back what is missing. `foreign`: it holds data, of another installation."""
INCOMPLETE: Final[frozenset[State]] = frozenset({"emptied", "behind", "filling", "foreign"})
TOLD_FOR: Final = timedelta(seconds=30)
"""So long after it was filled that is still an alarm: short enough to be over soon, long enough to be seen."""
ONLY_IN_POSTGRESQL: Final = "delivery times, older settings, past calls, statistics"
"""What no other store has."""

_READ: Final[LiteralString] = """
    SELECT id, journal_at, filling_for, filled_at, filled, now() AS now,
        EXISTS (SELECT 1 FROM subscribers) AS has_subscribers, EXISTS (SELECT 1 FROM calls) AS has_calls
    FROM identity
"""
# Nothing is stored in a database that is not ours, or has lost what was stored before.
_ADVANCE: Final[LiteralString] = """
    UPDATE identity SET journal_at = greatest(journal_at, $1::bigint[])
    WHERE $2::text IS NULL OR filling_for = $2 OR (id = $2 AND filling_for IS NULL AND journal_at >= $3::bigint[])
"""
_BEGIN: Final[LiteralString] = "UPDATE identity SET filling_for = $1"
_SENDER: Final[LiteralString] = "SELECT sender FROM identity"
_PUT_SENDER: Final[LiteralString] = "UPDATE identity SET sender = $1 WHERE sender IS DISTINCT FROM $1"
_END: Final[LiteralString] = """
    UPDATE identity SET id = $1, filling_for = NULL, filled_at = now(), filled = $2,
        journal_at = greatest(journal_at, $3::bigint[])
"""

Position = tuple[int, int]
_START: Final[Position] = (0, 0)


class DatabaseIncompleteError(PostgresUnavailableError):
    """PostgreSQL answers, but does not hold what was committed to it."""


class DatabaseStatus(Struct, frozen=True, kw_only=True):
    state: State
    redis_id: str | None
    filled_lately: str | None = None
    """What was written back a moment ago."""

    @property
    def problem(self) -> str | None:
        """What is wrong, or was until a moment ago, in the words of an alarm."""
        match self.state:
            case "emptied":
                return f"its data is gone; it is filled again from Redis, which lacks {ONLY_IN_POSTGRESQL}"
            case "behind":
                return f"it lost what was stored last (an old backup?); Redis fills it, but for {ONLY_IN_POSTGRESQL}"
            case "filling":
                return f"it is being filled again from Redis, which lacks {ONLY_IN_POSTGRESQL}"
            case "foreign":
                return "it holds the data of another installation: check DATABASE_URL and REDIS_URL"
            case _:
                return self.filled_lately


class Database:
    def __init__(
        self,
        redis: RedisManager,
        postgres: PostgresManager,
        *,
        known: Path | None = None,
        migrate: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`known`: where this process keeps the id, for when both stores are empty. `migrate` makes the schema."""
        self._redis = redis
        self._migrate = migrate
        self._postgres = postgres
        self._known = known
        self._id: str | None = known.read_text("utf-8").strip() if known and known.exists() else None

    async def poll(self) -> DatabaseStatus:
        """Hold PostgreSQL against what Redis knows of it. `TransientError` when one of them cannot be asked."""
        wanted: list[Command] = [
            ("GET", keys.EPOCH.of()),
            ("GET", keys.DATABASE.of()),
            ("GET", keys.JOURNAL_AT.of()),
            ("SCARD", keys.SUBSCRIBERS.of()),
            ("XLEN", keys.JOURNAL.of()),
        ]
        epoch, database, committed, subscribers, waiting = await self._redis.transaction(wanted)
        row = await self._row()
        if epoch is None:
            return DatabaseStatus(state="waiting", redis_id=None)
        # With nothing left in the journal, PostgreSQL knew every subscriber before it was asked.
        is_bare = bool(subscribers) and not waiting and not (row and row["has_subscribers"])
        known = cast("bytes", database).decode() if database else None
        state = _state(row, known, position_of(committed), is_bare=is_bare)
        if row is not None and state in {"new", "whole"}:
            await self._belongs_together(row["id"], is_new=state == "new")
        return DatabaseStatus(state=state, redis_id=known, filled_lately=_filled_lately(row))

    async def make_schema(self) -> None:
        """Make the schema where there is none any more."""
        if self._migrate is not None:
            await self._migrate()

    async def check(self) -> None:
        """`DatabaseIncompleteError` when PostgreSQL may not be taken for complete."""
        standing = await self.poll()
        if standing.state in INCOMPLETE:
            raise DatabaseIncompleteError(f"PostgreSQL is not complete: {standing.problem}")

    async def begin_filling(self, standing: DatabaseStatus) -> str:
        """Note for whom it is filled, so that whoever goes on after a kill does not take it for somebody else's."""
        row = await self._postgres.fetch_row(_READ)
        if row is None:  # truncated like the rest
            await self._postgres.execute("INSERT INTO identity (id) VALUES (gen_random_uuid()::text)")
            row = await self._postgres.fetch_row(_READ)
        owner = standing.redis_id or cast("Row", row)["id"]
        await self._redis.set(keys.DATABASE.of(), owner, nx=True)
        await self._postgres.execute(_BEGIN, owner)
        return owner

    async def end_filling(self, owner: str, filled: str) -> None:
        committed = position_of(await self._redis.get(keys.JOURNAL_AT.of()))
        await self._postgres.execute(_END, owner, filled, committed)

    async def sender(self) -> str | None:
        """Return under which name whoever sent last has written down for what requests left."""
        row = await self._postgres.fetch_row(_SENDER)
        return None if row is None else cast("str | None", row["sender"])

    async def note_sender(self, token: str | None) -> None:
        await self._postgres.execute(_PUT_SENDER, token)

    async def of_filled_redis(self) -> tuple[list[Command], bool]:
        """Return what a Redis that was filled from PostgreSQL has to know, and whether both had been emptied."""
        row = await self._postgres.fetch_row(_READ)
        if row is None:
            return [], False
        lost_both = row["filling_for"] is not None or (
            self._id is not None and self._id != row["id"] and not row["has_subscribers"]
        )
        if lost_both:
            text = "both Redis and PostgreSQL were emptied: subscribers, settings and what was sent are gone"
            log.critical("both_stores_emptied", known=self._id, found=row["id"])
            await self._postgres.execute(_END, row["id"], text, _START)
        self._remember(row["id"])
        return [
            ("SET", keys.DATABASE.of(), row["id"]),
            ("SET", keys.JOURNAL_AT.of(), _text(row["journal_at"])),
        ], lost_both

    async def _row(self) -> Row | None:
        try:
            return await self._postgres.fetch_row(_READ)
        except PostgresSchemaError as error:
            log.warning("postgres_without_schema", reason=str(error))
            return None

    async def _belongs_together(self, database_id: str, *, is_new: bool) -> None:
        if is_new:
            await self._redis.set(keys.DATABASE.of(), database_id, nx=True)
        self._remember(database_id)

    def _remember(self, database_id: str) -> None:
        if database_id == self._id:
            return
        self._id = database_id
        if self._known is not None:
            try:
                self._known.write_text(database_id + "\n", "utf-8")
            except OSError as error:
                log.warning("database_id_not_kept", reason=str(error))


def _state(row: Row | None, known: str | None, committed: Position, *, is_bare: bool) -> State:
    if row is None:
        return "emptied"
    if row["filling_for"] is not None and row["filling_for"] == (known or row["filling_for"]):
        return "filling"
    if known is None or known == row["id"]:
        if is_bare:
            return "emptied"
        return "new" if known is None else "whole" if tuple(row["journal_at"]) >= committed else "behind"
    is_used = row["has_subscribers"] or row["has_calls"] or tuple(row["journal_at"]) > _START
    return "foreign" if is_used else "emptied"


def _filled_lately(row: Row | None) -> str | None:
    if row is None or row["filled_at"] is None:
        return None
    filled_at, now = cast("datetime", row["filled_at"]), cast("datetime", row["now"])
    return cast("str", row["filled"]) if now - filled_at < TOLD_FOR else None


async def advance(statements: Statements, entry_id: str, database: Reply, committed: Reply) -> None:
    """Note in a transaction of the journal how far it has come; `DatabaseIncompleteError`: nothing may be stored."""
    known = database.decode() if isinstance(database, bytes) else None
    tag = await statements.execute(_ADVANCE, position_of(entry_id.encode()), known, position_of(committed))
    if not tag.endswith(" 1"):
        raise DatabaseIncompleteError("PostgreSQL is not the database to which the journal went until now")


def position_of(entry_id: Reply) -> Position:
    """Read the id of a stream's entry."""
    if not isinstance(entry_id, bytes) or not entry_id:
        return _START
    at_ms, _, number = entry_id.decode().partition("-")
    return int(at_ms), int(number or 0)


def _text(position: Sequence[int]) -> str:
    return "-".join(map(str, position))
