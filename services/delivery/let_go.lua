-- Puts the alerts of one subscriber that are due back into the outbox, in the order in which they are, and says when
-- the next one is.
--
-- KEYS: outbox, delayed alerts due, delayed alerts of the user.
-- Argument: user_id; now_ms; at_most (how many at once).
-- Answer: how many went.
local args = cmsgpack.unpack(ARGV[1])
local outbox, delayed_due, delayed = unpack(KEYS)

local due = redis.call('ZRANGEBYSCORE', delayed, '-inf', args.now_ms, 'LIMIT', 0, args.at_most)
for _, alert in ipairs(due) do
  redis.call('XADD', outbox, '*', 'alert', alert)
  redis.call('ZREM', delayed, alert)
end
local left = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
if left[2] then
  redis.call('ZADD', delayed_due, left[2], args.user_id)
else
  redis.call('ZREM', delayed_due, args.user_id)
end
return #due
