-- Makes a digest due now that was to be due later.
--
-- KEYS: digests due.
-- Argument: user_id; now_ms.
local args = cmsgpack.unpack(ARGV[1])
return redis.call('ZADD', KEYS[1], 'XX', 'LT', args.now_ms, args.user_id)
