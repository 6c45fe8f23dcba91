"""What still stands in the outbox, told apart: alerts, and everything else that is on its way to people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec import Struct

from domain.stored.alerts import Alert
from domain.stored.outgoing import read_outgoing
from domain.subscribers.partitions import ALL, Partition
from managers.redis.client import RedisManager
from services.claims.outbox import DOCUMENT_FIELD
from services.stores import keys
from services.stores.spool import Spool

_PAGE: Final = 500


class Left(Struct, frozen=True, kw_only=True):
    alerts: int = 0
    others: int = 0
    """Digests, receipts, reports and the like, and what nobody can read."""


async def count_left(redis: RedisManager, spool: Spool, partitions: Iterable[Partition] = ALL) -> Left:
    """Count what has no known outcome yet. Reads all of it; the outbox is to stand still meanwhile."""
    alerts, others = spool.local_alerts, 0
    for partition in sorted(partitions):
        start = "-"
        while page := await redis.xrange(keys.OUTBOX.of(partition), start=start, count=_PAGE):
            found = sum(_is_alert(one.fields.get(DOCUMENT_FIELD, b"")) for one in page)
            alerts, others = alerts + found, others + len(page) - found
            start = f"({page[-1].id}"
    return Left(alerts=alerts, others=others)


def _is_alert(document: bytes) -> bool:
    try:
        return isinstance(read_outgoing(document), Alert)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False
