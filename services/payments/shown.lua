-- Notes that a person's document shows what they were given, unless they were given more since it was read.
--
-- KEYS: entitlements of the person, who was entitled.
-- Argument: user; given (how many entitlements were read).
-- Answer: 1 when the document shows all of them, else 0.
local args = cmsgpack.unpack(ARGV[1])
local entitlements, entitled = unpack(KEYS)

if redis.call('HLEN', entitlements) ~= args.given then return 0 end
redis.call('SREM', entitled, args.user)
return 1
