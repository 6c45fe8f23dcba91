-- Puts a digest into the outbox and takes its calls out of those that are held: all of them leave or none.
--
-- KEYS: outbox, held calls of the user.
-- Argument: digest; call_ids.
-- Answer: the entry of the digest, false when a call had left already.
local args = cmsgpack.unpack(ARGV[1])
local outbox, held_calls = KEYS[1], KEYS[2]

for _, call_id in ipairs(args.call_ids) do
  if redis.call('HEXISTS', held_calls, call_id) == 0 then return false end
end
for _, call_id in ipairs(args.call_ids) do redis.call('HDEL', held_calls, call_id) end
return redis.call('XADD', outbox, '*', 'alert', args.digest)
