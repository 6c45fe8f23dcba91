"""A process that lost its lease without noticing changes nothing: scripts compare fencing numbers first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from managers.redis.client import RedisReplyError
from managers.redis.scripts import source_beside
from runtime.errors import BotError

FENCED_CODE: Final = "FENCED"


class LeaseLostError(BotError):
    """Somebody else has taken a lease since; nothing was changed."""


FENCED: Final = source_beside(__file__, "fenced.lua")
"""The head of a script that changes something under leases: `Script.beside(..., after=FENCED)`."""


def numbers_of(fences: Mapping[str, int]) -> dict[str, str]:
    """Return what `FENCED` compares, the field `fences`: by name of a lease, the number under which it is held."""
    return {name: str(number) for name, number in fences.items()}


def lease_lost(error: RedisReplyError) -> LeaseLostError | None:
    """Tell whether a script was stopped by its fence."""
    return LeaseLostError(str(error)) if error.code == FENCED_CODE else None
