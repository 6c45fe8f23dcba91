"""Alerts that could never be delivered: looked at, sent again or given up, by an admin.

A letter that is sent again leaves the dead letters and joins the outbox in one script, so however often somebody
asks, it goes out once. From there on it is an alert like any other: policy and freshness decide about it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Literal, cast

import msgspec
import structlog
from msgspec import Struct

from domain.stored.outgoing import Outgoing, read_outgoing
from domain.subscribers.partitions import partition_of
from managers.redis.client import RedisManager, StreamEntry
from managers.redis.scripts import Script, packed, raw
from runtime.errors import UserFacingError
from services.monitoring.metrics import Metrics
from services.stores import keys

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

NEWEST: Final = ""
"""Where the first page begins."""
_AT_ONCE: Final = 100
_ENTRY_ID: Final = re.compile(r"[1-9][0-9]{0,14}-(0|[1-9][0-9]{0,8})")
"""Ids as Redis gives them to entries, milliseconds and a number; so short that two of them fit a button."""

Outcome = Literal["replayed", "gone", "unreadable"]
"""Of sending a letter again. `gone`: it is no longer among the dead letters; `unreadable`: nobody knows whose it is."""


class DeadLetter(Struct, frozen=True, kw_only=True):
    entry_id: str
    """Of the letter, not of the outbox entry it was."""
    outgoing: Outgoing | None
    """`None` when not even that could be read."""
    reason: str
    """Telegram's words, which may quote names from outside."""
    dead_lettered_at: datetime


class DeadLetterPage(Struct, frozen=True, kw_only=True):
    dead_letters: tuple[DeadLetter, ...]
    """The newest first."""
    newer: str | None
    """Where the page before this one begins (`after` of `DeadLetters.page`); `None` on the first."""
    older: str | None
    """Where the page behind this one begins; `None` on the last."""


class Replayed(Struct, frozen=True, kw_only=True):
    replayed: int
    unreadable: int
    """Letters that stay, since nobody knows whose they are."""


_REPLAY: Final = Script.beside(__file__, "replay_dead_letters.lua")


class DeadLetters:
    """Ids may come from buttons: one that Redis never gave is answered as a stale button."""

    def __init__(self, redis: RedisManager, metrics: Metrics) -> None:
        self._redis = redis
        self._metrics = metrics
        self._stream = keys.DEAD_LETTERS.of()

    async def count(self) -> int:
        return await self._redis.xlen(self._stream)

    async def page(self, after: str = NEWEST, count: int = 10) -> DeadLetterPage:
        """Return up to `count` letters that are older than `after`, the newest first.

        Where nothing is that old any more, the first page.
        """
        before = _known(after) if after else "+"
        found = await self._redis.xrevrange(self._stream, before=before, count=count + 1)
        if not found and after:
            return await self.page(NEWEST, count)
        shown = found[:count]
        newer = None
        if after:
            ahead = await self._redis.xrange(self._stream, start=f"({shown[0].id}", count=count + 1)
            newer = ahead[count].id if len(ahead) > count else NEWEST if ahead else None
        return DeadLetterPage(
            dead_letters=tuple(_dead_letter(entry) for entry in shown),
            newer=newer,
            older=shown[-1].id if len(found) > count else None,
        )

    async def find(self, entry_id: str) -> DeadLetter | None:
        """Return one letter; `None`: it is no longer among them."""
        entry_id = _known(entry_id)
        found = await self._redis.xrange(self._stream, start=entry_id, end=entry_id, count=1)
        return _dead_letter(found[0]) if found else None

    async def replay(self, entry_id: str) -> Outcome:
        """Send one letter again. May be repeated: a letter goes once."""
        entry_id = _known(entry_id)
        found = await self._redis.xrange(self._stream, start=entry_id, end=entry_id, count=1)
        done = await self._replay(found)
        if done.unreadable:
            return "unreadable"
        return "replayed" if done.replayed else "gone"

    async def replay_all(self, up_to: str = NEWEST) -> Replayed:
        """Send every letter again that is no newer than `up_to`; by default all that there are now.

        A letter that dies again meanwhile is a new one and stays. May be repeated: a letter goes once.
        """
        newest = await self._redis.xrevrange(self._stream, count=1)
        replayed = unreadable = 0
        if newest:
            last, start = _known(up_to) if up_to else newest[0].id, "-"
            while found := await self._redis.xrange(self._stream, start=start, end=last, count=_AT_ONCE):
                done = await self._replay(found)
                replayed, unreadable = replayed + done.replayed, unreadable + done.unreadable
                if len(found) < _AT_ONCE:
                    break
                start = f"({found[-1].id}"
        return Replayed(replayed=replayed, unreadable=unreadable)

    async def discard(self, entry_id: str) -> bool:
        """Give a letter up for good; returns whether it was still there. `deliveries` keeps the reason."""
        discarded = await self._redis.xdel(self._stream, _known(entry_id)) == 1
        if discarded:
            log.info("dead_letter_discarded", entry_id=entry_id)
        return discarded

    async def _replay(self, entries: Sequence[StreamEntry]) -> Replayed:
        names, dead_letters = [self._stream], list[dict[str, object]]()
        for entry in entries:
            outgoing = _dead_letter(entry).outgoing
            if outgoing is not None:
                names.append(keys.OUTBOX.of(partition_of(outgoing.user_id)))
                dead_letters.append({"id": entry.id, "alert": raw(entry.fields["alert"]), "outbox": len(names)})
        readable, args = len(dead_letters), packed(dead_letters=dead_letters)
        replayed = cast("int", await self._redis.script(_REPLAY, names, args)) if readable else 0
        if replayed:
            self._metrics.counts.alerts_replayed += replayed
            log.info("dead_letters_replayed", first=entries[0].id, last=entries[-1].id, replayed=replayed)
        return Replayed(replayed=replayed, unreadable=len(entries) - readable)


def _known(entry_id: str) -> str:
    if not _ENTRY_ID.fullmatch(entry_id):
        raise UserFacingError("callback.stale")
    return entry_id


def _dead_letter(letter: StreamEntry) -> DeadLetter:
    try:
        outgoing = read_outgoing(letter.fields.get("alert", b""))
    except (msgspec.MsgspecError, UnicodeDecodeError):
        outgoing = None
    return DeadLetter(
        entry_id=letter.id,
        outgoing=outgoing,
        reason=letter.fields.get("reason", b"").decode(errors="replace"),
        dead_lettered_at=datetime.fromtimestamp(int(letter.fields.get("buried_at_ms", letter.added_at_ms)) / 1000, UTC),
    )
