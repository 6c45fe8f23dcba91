-- Prolongs leases. One that expired goes on if nobody took it meanwhile, and so does one that an emptied Redis forgot.
--
-- KEYS: fences, then a lease each.
-- Argument: owner; ttl_ms; leases, each with name, number (a string) and key (its place in KEYS).
-- Answer: a character per lease, 1 where it goes on.
local args = cmsgpack.unpack(ARGV[1])
local fences = KEYS[1]

local flags = {}
for i, lease in ipairs(args.leases) do
  local key = KEYS[lease.key]
  local value, holder, goes_on = lease.number .. ' ' .. args.owner, redis.call('GET', key), false
  if holder then
    goes_on = holder == value
  else
    local standing = redis.call('HGET', fences, lease.name)
    goes_on = not standing or standing == lease.number
  end
  if goes_on then
    redis.call('HSET', fences, lease.name, lease.number)
    redis.call('SET', key, value, 'PX', args.ttl_ms)
  end
  flags[i] = goes_on and '1' or '0'
end
return table.concat(flags)
