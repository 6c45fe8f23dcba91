-- A sender gives back what it holds as soon as it has cooled.
--
-- KEYS: the leases.
-- Argument: sender; number (of its request); cools_ms (until its last slot has cooled).
local args = cmsgpack.unpack(ARGV[1])
local leases = KEYS[1]

local stored = redis.call('GET', leases)
if not stored then return 0 end
local state = cjson.decode(stored)
local me = state.senders[args.sender]
if not me or args.number <= me.number then return 0 end
local time = redis.call('TIME')
local wall = time[1] * 1000 + math.floor(time[2] / 1000)
state.now = state.now + math.max(0, wall - state.wall)
state.wall = wall
me.number, me.ends, me.freed, me.demand = args.number, state.now, state.now + args.cools_ms, 0
redis.call('SET', leases, cjson.encode(state))
return 1
