-- Takes a digest out of the outbox and gives its calls back to those that are held. Whoever no longer holds the entry
-- changes nothing.
--
-- KEYS: outbox, in-flight marks, digests due, held calls of the user.
-- Argument: group; entry (of the digest); user_id; due_ms (when its calls are due again); calls (id to document).
local args = cmsgpack.unpack(ARGV[1])
local outbox, in_flight, digests_due, held_calls = unpack(KEYS)

if redis.call('XACK', outbox, args.group, args.entry) == 1 then
  for call_id, document in pairs(args.calls) do redis.call('HSET', held_calls, call_id, document) end
  redis.call('ZADD', digests_due, 'LT', args.due_ms, args.user_id)
end
redis.call('XDEL', outbox, args.entry)
redis.call('HDEL', in_flight, args.entry)
return 1
