-- Takes somebody out of those who wait for a call's figure, unless it was changed since it was looked at.
--
-- KEYS: who waits for the call, calls by the end of their waits.
-- Argument: call_id; seen; left (none: nobody else waits); ends_ms.
-- Answer: 1, or 0 when it was changed.
local args = cmsgpack.unpack(ARGV[1])
local waiting, by_end = unpack(KEYS)

if redis.call('GET', waiting) ~= args.seen then return 0 end
if args.left then
  redis.call('SET', waiting, args.left, 'KEEPTTL')
  redis.call('ZADD', by_end, args.ends_ms, args.call_id)
else
  redis.call('DEL', waiting)
  redis.call('ZREM', by_end, args.call_id)
end
return 1
