"""What happens to alerts in Redis, each all or nothing, and harmless when it is executed again."""

from __future__ import annotations

from typing import Final

from managers.redis.client import Script
from services.claims.claiming import CLAIM
from services.claims.putting import PUT
from services.cluster.fencing import FENCED

# KEYS: fences, in-flight marks. ARGV: fences, then entry and time of each mark.
BEGIN: Final = Script(
    FENCED
    + """
redis.call('HSET', KEYS[2], unpack(ARGV, next_arg))
return 1
"""
)

# KEYS: outbox, dead letters, in-flight marks, journal, mark of an entry of the local store. ARGV: group, entry ('' in
# the local store), alert, reason, time, lifetime of the mark, then journal records. Only whoever still holds the entry
# writes the letter, so a repeated burial digs no second grave.
BURY: Final = Script("""
local is_ours
if ARGV[2] == '' then
  is_ours = redis.call('SET', KEYS[5], '1', 'NX', 'EX', ARGV[6])
else
  is_ours = redis.call('XACK', KEYS[1], ARGV[1], ARGV[2]) == 1
  redis.call('XDEL', KEYS[1], ARGV[2])
  redis.call('HDEL', KEYS[3], ARGV[2])
end
if is_ours then
  redis.call('XADD', KEYS[2], '*', 'alert', ARGV[3], 'reason', ARGV[4], 'buried_at_ms', ARGV[5])
  for i = 7, #ARGV do redis.call('XADD', KEYS[4], '*', 'kind', 'delivery', 'data', ARGV[i]) end
end
return 1
""")

SCRIPTS: Final = {"claim": CLAIM, "put": PUT, "begin": BEGIN, "bury": BURY}
"""What can be written down for later, by name."""
