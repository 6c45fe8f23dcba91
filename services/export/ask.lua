-- Takes an export in, at most one an hour.
--
-- KEYS: whoever has asked lately, exports.
-- Argument: user_id; asked; lives_s.
-- Answer: 0 when it was taken in, else for how many seconds the earlier one keeps it away.
local args = cmsgpack.unpack(ARGV[1])
local lately, exports = unpack(KEYS)

if not redis.call('SET', lately, '1', 'NX', 'EX', args.lives_s) then return math.max(1, redis.call('TTL', lately)) end
redis.call('HSET', exports, args.user_id, args.asked)
return 0
