-- Gives leases back.
--
-- KEYS: a lease each.
-- Argument: values (what the holder believes to stand in each, in the order of KEYS).
local args = cmsgpack.unpack(ARGV[1])

for i, value in ipairs(args.values) do
  if redis.call('GET', KEYS[i]) == value then redis.call('DEL', KEYS[i]) end
end
return 1
