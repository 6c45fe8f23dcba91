"""How what was read of a channel is put into PostgreSQL, within a transaction of the caller."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, cast

import msgspec
from msgspec.structs import replace

from managers.storage.postgres import Statements
from services.channels import statements
from services.channels.wire import ChannelCall, UnresolvedCall, frame_of, number_of

_MICROSECOND: Final = 1_000_000
_encode: Final = msgspec.json.Encoder().encode


async def write_tokens(transaction: Statements, channel: str, tokens: Sequence[tuple[str, datetime]]) -> frozenset[str]:
    """Return those that the channel had not called before, whoever has read it."""
    if not tokens:
        return frozenset()
    addresses, moments = zip(*tokens, strict=True)
    rows = await transaction.fetch(statements.PUT_TOKENS, channel, list(addresses), list(moments))
    return frozenset(row["address"] for row in rows)


async def write_unresolved(
    transaction: Statements, channel: str, calls: Sequence[UnresolvedCall], now: datetime
) -> None:
    await transaction.execute(
        statements.PUT_UNRESOLVED,
        channel,
        [call.number for call in calls],
        [call.address for call in calls],
        [now for _ in calls],
        [_encode(call).decode() for call in calls],
    )


async def write_calls(transaction: Statements, calls: Sequence[ChannelCall], now: datetime) -> None:
    """The row of the cursor is held until the end: nobody sees a later cursor before an earlier one."""
    if not calls:
        return
    row = await transaction.fetch_row(statements.MOVE_CURSOR, int(now.timestamp() * _MICROSECOND), len(calls))
    last = cast("int", row["cursor"]) if row else 0
    numbered = [replace(call, cursor=last - len(calls) + 1 + place) for place, call in enumerate(calls)]
    await transaction.execute(
        statements.PUT_CALLS,
        [call.cursor for call in numbered],
        [call.id for call in numbered],
        [call.channel.id for call in numbered],
        [number_of(call.id) for call in numbered],
        [now for _ in numbered],
        [frame_of(call) for call in numbered],
    )
