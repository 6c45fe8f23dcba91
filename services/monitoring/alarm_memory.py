"""What each admin was told last of what is wrong, beyond the end of a process: whoever follows tells when it is over.

It is kept in Redis, for whichever process follows, and in a file, for the time when Redis is what is wrong. Of the two
the newer one counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

import msgspec
import structlog
from msgspec import Struct

from managers.redis.client import RedisManager, RedisUnavailableError
from services.stores import keys

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class ReportedAlarm(Struct, frozen=True, kw_only=True):
    reason: str
    began_at: datetime
    about: tuple[str, ...] = ()
    """What the chat was told of, where the alarm is for many."""


ByChat = Mapping[int, Mapping[str, ReportedAlarm]]
"""By chat id and name of the alarm."""


class ReportedAlarms(Struct, frozen=True, kw_only=True):
    """What chats believe to be wrong: they were told that it began, and not that it ended."""

    saved_at: datetime
    chats: ByChat


NOTHING_REPORTED: Final = ReportedAlarms(saved_at=datetime.fromtimestamp(0, UTC), chats={})


class AlarmMemory(Protocol):
    async def load(self) -> ReportedAlarms: ...

    async def save(self, chats: ByChat) -> bool: ...


class StoredAlarmMemory:
    """`path`: `None` where nothing may be kept."""

    def __init__(self, redis: RedisManager, path: Path | None, clock: Callable[[], datetime]) -> None:
        self._redis = redis
        self._path = path
        self._clock = clock

    async def load(self) -> ReportedAlarms:
        """Return what was saved last; nothing that cannot be read keeps the alarms from working."""
        found = [_decoded(await asyncio.to_thread(self._read)), NOTHING_REPORTED]
        try:
            found.append(_decoded(await self._redis.get(keys.REPORTED_ALARMS.of())))
        except RedisUnavailableError as error:
            log.warning("reported_alarms_not_read", reason=str(error))
        return max(found, key=lambda told: told.saved_at)

    async def save(self, chats: ByChat) -> bool:
        """Save it here and there; `False` when it has to be tried again."""
        document = msgspec.json.encode(ReportedAlarms(saved_at=self._clock(), chats=chats))
        is_saved = await asyncio.to_thread(self._write, document)
        try:
            await self._redis.set(keys.REPORTED_ALARMS.of(), document)
        except RedisUnavailableError as error:
            log.warning("reported_alarms_not_saved", reason=str(error))
            return False
        return is_saved

    def _read(self) -> bytes | None:
        try:
            return self._path.read_bytes() if self._path else None
        except FileNotFoundError:
            return None
        except OSError as error:
            log.warning("reported_alarms_not_read", path=str(self._path), reason=str(error))
            return None

    def _write(self, document: bytes) -> bool:
        if self._path is None:
            return True
        new = self._path.with_suffix(".new")
        try:
            new.write_bytes(document)
            new.replace(self._path)  # whole or not at all, whenever the process dies
        except OSError as error:
            log.warning("reported_alarms_not_saved", path=str(self._path), reason=str(error))
            return False
        return True


def _decoded(document: bytes | None) -> ReportedAlarms:
    if document is None:
        return NOTHING_REPORTED
    try:
        return msgspec.json.decode(document, type=ReportedAlarms)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        log.warning("reported_alarms_unreadable", reason=str(error))
        return NOTHING_REPORTED
