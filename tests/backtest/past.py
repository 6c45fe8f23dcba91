"""Calls that were decided in the past and what became of them, as PostgreSQL has them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, LiteralString

import msgspec
import psutil
from msgspec import Struct

from domain.calls.events import Call, Channel, Token
from managers.storage.postgres import PostgresManager
from tests.why.support import mint

_CALL: Final[LiteralString] = """
    INSERT INTO calls (call_id, token_address, channel_id, called_at, received_at, document, decided_at, reason,
        checked_channels) VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7, $8, $9)
"""
_OUTCOME: Final[LiteralString] = """
    INSERT INTO outcomes (call_id, number, token_address, channel_id, called_at, opened_at, measure, price_usd,
        peak_multiple, reachable_multiple, ended_at, at_least, scale, excluded)
    SELECT call_id, number, token_address, channel_id, called_at, called_at, 'price', 1.0, $2, $3, $4, $5, $6, $7
    FROM calls WHERE call_id = $1
"""


class PastCall(Struct, frozen=True, kw_only=True):
    at: datetime
    token: int
    figures: dict[str, Any]
    channel: str = "@alpha"
    reason: str = "first_check"
    peak: float | None = None
    followed: bool = False
    """Also without a peak: it never rose, or nothing was written down yet."""
    at_least: bool = False
    scale: float = 1.0
    excluded: str | None = None
    reachable: float | None = None
    ended: bool = True


class Past:
    def __init__(self, postgres: PostgresManager) -> None:
        self.postgres = postgres
        self._count = 0

    async def put(self, calls: Sequence[PastCall]) -> list[Call]:
        put: list[Call] = []
        for one in calls:
            self._count += 1
            call = Call(
                id=f"call-{self._count}",
                token=Token(address=mint(one.token), symbol=f"COIN{one.token}", **one.figures),
                channel=Channel(id=one.channel, title=f"The {one.channel}"),
                called_at=one.at,
                received_at=one.at,
            )
            about = (call.id, call.token.address, one.channel, one.at, one.at, msgspec.json.encode(call).decode())
            await self.postgres.execute(_CALL, *about, one.at, one.reason, [one.channel])
            if one.followed or one.peak is not None:
                ended_at = one.at + timedelta(days=1) if one.ended else None
                counts = (one.at_least, one.scale, one.excluded)
                await self.postgres.execute(_OUTCOME, call.id, one.peak, one.reachable, ended_at, *counts)
            put.append(call)
        return put


def ago(**span: float) -> datetime:
    return datetime.now(UTC) - timedelta(**span)


def computing_processes() -> list[psutil.Process]:
    """Those that this one has started; servers of other tests are no Python."""
    return [process for process in psutil.Process().children() if process.name().startswith("python")]
