-- Puts a document in the place of one that says the same, unless it was changed meanwhile.
--
-- KEYS: the document.
-- Argument: seen; resealed.
-- Answer: 1 when it was replaced, else 0.
local args = cmsgpack.unpack(ARGV[1])
if redis.call('GET', KEYS[1]) ~= args.seen then return 0 end
redis.call('SET', KEYS[1], args.resealed, 'KEEPTTL')
return 1
