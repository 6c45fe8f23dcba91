-- Says when the next digest is due; with nothing held, none is. A call that was held meanwhile leaves the time as it is:
-- the next look finds it.
--
-- KEYS: digests due, held calls of the user.
-- Argument: user_id; seen (how many held calls were seen); due_ms.
-- Answer: how many calls are held.
local args = cmsgpack.unpack(ARGV[1])
local digests_due, held_calls = KEYS[1], KEYS[2]

local held = redis.call('HLEN', held_calls)
if held == 0 then
  redis.call('ZREM', digests_due, args.user_id)
elseif held == args.seen then
  redis.call('ZADD', digests_due, args.due_ms, args.user_id)
end
return held
