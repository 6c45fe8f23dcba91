"""What became known of a called token after its alert, kept as long as the card may be edited."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, LiteralString

import msgspec

from domain.calls import figures
from domain.calls.events import Call, Token
from domain.calls.lifetimes import ACCEPTED_FOR
from managers.storage.postgres import PostgresManager

KEPT_FOR: Final = ACCEPTED_FOR + timedelta(days=1)
_BATCH: Final = 1_000
_token: Final = msgspec.json.Decoder(Token)

_FIND: Final[LiteralString] = "SELECT token FROM later_figures WHERE call_id = $1"
_PUT: Final[LiteralString] = """
    INSERT INTO later_figures (call_id, looked_at, token) SELECT x.call_id, $1, x.token
    FROM unnest($2::text[], $3::text[]) AS x (call_id, token)
    ON CONFLICT (call_id) DO NOTHING
"""
_FORGET: Final[LiteralString] = """
    DELETE FROM later_figures WHERE call_id IN (SELECT call_id FROM later_figures WHERE looked_at < $1 LIMIT $2)
"""


class LaterFigures:
    """Every method raises `TransientError`."""

    def __init__(self, postgres: PostgresManager) -> None:
        self._postgres = postgres

    async def on(self, call: Call) -> Call:
        """Return the call with the figures that came after it was decided."""
        row = await self._postgres.fetch_row(_FIND, call.id)
        return call if row is None or row["token"] is None else completed(call, _token.decode(row["token"]))

    async def put(self, found: Sequence[tuple[str, Token | None]], now: datetime) -> None:
        """Note what was found of calls, or that nothing was."""
        documents = [None if token is None else msgspec.json.encode(token).decode() for _, token in found]
        await self._postgres.execute(_PUT, now, [call_id for call_id, _ in found], documents)

    async def forget(self, now: datetime) -> None:
        while (await self._postgres.execute(_FORGET, now - KEPT_FOR, _BATCH)).endswith(f" {_BATCH}"):
            pass


def completed(call: Call, token: Token) -> Call:
    """Fill in what the call lacked; what it said stays."""
    return msgspec.structs.replace(call, token=figures.completed(call.token, token))
