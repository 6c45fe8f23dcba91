"""An entry of the outbox as a sender has it in hand: where it stands, whether it may have arrived already."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
import structlog
from msgspec import Struct

from domain.stored.alerts import Alert
from domain.stored.outgoing import Outgoing
from domain.subscribers.partitions import Partition, partition_of
from services.stores.local_store import LocalAlert

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

LOCAL: Final = "local-"
"""Begins the id of an entry in the local store."""


class OutboxEntry(Struct, frozen=True, kw_only=True):
    entry_id: str
    outgoing: Outgoing
    may_repeat: bool = False
    """A request for it left earlier and its outcome was never known."""

    @property
    def alert(self) -> Alert:
        """The alert that it is; `TypeError` for anything else."""
        if isinstance(self.outgoing, Alert):
            return self.outgoing
        raise TypeError(f"a {self.outgoing.kind} is no alert")

    @property
    def partition(self) -> Partition:
        return partition_of(self.outgoing.user_id)

    @property
    def is_local(self) -> bool:
        """Whether it lives in the local store."""
        return self.entry_id.startswith(LOCAL)


def as_local(entry: OutboxEntry, call_json: bytes) -> LocalAlert:
    return LocalAlert(id=entry.entry_id, alert_json=msgspec.json.encode(entry.alert), call_json=call_json)


def from_local(stored: LocalAlert) -> OutboxEntry | None:
    try:
        alert = msgspec.json.decode(stored.alert_json, type=Alert)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        log.warning("local_alert_unreadable", alert_id=stored.id, reason=str(error))
        return None
    return OutboxEntry(entry_id=stored.id, outgoing=alert, may_repeat=stored.in_flight)


class LocalQueue:
    """Entries of the local store that nobody has taken yet."""

    def __init__(self) -> None:
        self._entries: deque[OutboxEntry] = deque()
        self._news = asyncio.Event()

    def __bool__(self) -> bool:
        return bool(self._entries)

    def put(self, entries: Iterable[OutboxEntry]) -> None:
        """Whoever waits looks again, also when there are none."""
        self._entries.extend(entries)
        self._news.set()

    def take(self, count: int) -> list[OutboxEntry]:
        taken = [self._entries.popleft() for _ in range(min(count, len(self._entries)))]
        if not self._entries:
            self._news.clear()
        return taken

    async def wait(self, timeout_s: float) -> None:
        """Return when there is something to take, or in time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._news.wait()
        except TimeoutError:
            return


def apart(entries: Sequence[OutboxEntry]) -> tuple[list[str], dict[Partition, list[str]]]:
    """Return the ids of entries in the local store, and of those in Redis by partition."""
    local = [one.entry_id for one in entries if one.is_local]
    remote: dict[Partition, list[str]] = {}
    for one in entries:
        if not one.is_local:
            remote.setdefault(one.partition, []).append(one.entry_id)
    return local, remote
