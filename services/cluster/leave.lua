-- A process lives no more for the others, unless another one has taken its name.
--
-- KEYS: documents, when each was last seen.
-- Argument: owner; document.
local args = cmsgpack.unpack(ARGV[1])

if redis.call('HGET', KEYS[1], args.owner) == args.document then
  redis.call('HDEL', KEYS[1], args.owner)
  redis.call('ZREM', KEYS[2], args.owner)
end
return 1
