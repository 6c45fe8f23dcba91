-- Takes leases that are free, have expired or were left by this owner. A number is never below the server's time in µs:
-- an emptied Redis repeats none.
--
-- KEYS: fences, then a lease each.
-- Argument: owner; ttl_ms; leases, each with name and key (its place in KEYS).
-- Answer: a number per lease, '' where somebody else holds it.
local args = cmsgpack.unpack(ARGV[1])
local fences = KEYS[1]

local time, taken = redis.call('TIME'), {}
local least = tonumber(time[1]) * 1000000 + tonumber(time[2])
for i, lease in ipairs(args.leases) do
  local key = KEYS[lease.key]
  local holder = redis.call('GET', key)
  if not holder or string.match(holder, '^%d+ (.*)$') == args.owner then
    local before = tonumber(redis.call('HGET', fences, lease.name) or 0)
    local number = string.format('%.0f', math.max(before + 1, least))
    redis.call('HSET', fences, lease.name, number)
    redis.call('SET', key, number .. ' ' .. args.owner, 'PX', args.ttl_ms)
    taken[i] = number
  else
    taken[i] = ''
  end
end
return taken
