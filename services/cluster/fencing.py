"""A process that lost its lease without noticing changes nothing: scripts compare fencing numbers first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from managers.redis.client import Argument, RedisReplyError
from runtime.errors import BotError

FENCED_CODE: Final = "FENCED"


class LeaseLostError(BotError):
    """Somebody else has taken a lease since; nothing was changed."""


# The head of a script whose KEYS[1] is `keys.FENCES` and whose ARGV begin with what `fence_args` gives. The script's
# own arguments begin at ARGV[next_arg].
FENCED: Final = """
local fences = tonumber(ARGV[1])
local next_arg = 2 + 2 * fences
if fences > 0 then
  local names = {}
  for i = 1, fences do names[i] = ARGV[2 * i] end
  for i, number in ipairs(redis.call('HMGET', KEYS[1], unpack(names))) do
    if number ~= ARGV[2 * i + 1] then return redis.error_reply('FENCED ' .. names[i] .. ' has another owner') end
  end
end
"""


def fence_args(fences: Mapping[str, int]) -> list[Argument]:
    """Return what `FENCED` compares: by name of a lease, the number under which it is held."""
    return [len(fences), *(part for name, number in fences.items() for part in (name, number))]


def lease_lost(error: RedisReplyError) -> LeaseLostError | None:
    """Tell whether a script was stopped by its fence."""
    return LeaseLostError(str(error)) if error.code == FENCED_CODE else None
