-- Grants a sender its share of the slots. Time is Redis's, less what a step of its clock adds to it: no more passes
-- between two requests of a sender than passed on the sender's own clock. An idle sender keeps a few slots, up to a
-- sixth of all for all of them together.
--
-- KEYS: the leases.
-- Argument: sender; number (of its request); slots (of all); held (by the sender); demand (what it could use); alone;
-- then in ms: lease_ms; period_ms; hold_ms (how long after its lease the slots of a silent sender are held); since_ms
-- (since its last answered request); slack_ms (of clocks); closed_ms (how long an emptied Redis grants nothing new, or
-- everybody who still holds slots would be forgotten).
-- Answer: how many slots it may use from now on.
local args = cmsgpack.unpack(ARGV[1])
local leases, slots = KEYS[1], args.slots

local time = redis.call('TIME')
local wall = time[1] * 1000 + math.floor(time[2] / 1000)
local stored = redis.call('GET', leases)
local state = stored and cjson.decode(stored) or {now = 0, wall = wall, opens = args.closed_ms, senders = {}}
local me = state.senders[args.sender]
if me and args.number <= me.number then return 0 end
local now = state.now + math.max(0, wall - state.wall)
if me then now = math.max(state.now, math.min(now, me.at + args.since_ms + args.slack_ms)) end
state.now, state.wall = now, wall

local others, hungry = 0, {{name = args.sender, wants = args.demand}}
for other, has in pairs(state.senders) do
  if other ~= args.sender then
    if now >= has.freed or (args.alone and now >= has.ends + args.period_ms) then
      state.senders[other] = nil
    else
      others = others + has.held
      if now < has.ends then hungry[#hungry + 1] = {name = other, wants = has.demand} end
    end
  end
end

local reserve = #hungry == 1 and slots or math.floor(slots / 6 / #hungry)
table.sort(hungry, function(a, b)
  if a.wants ~= b.wants then return a.wants < b.wants end
  return a.name < b.name
end)
local left, fair = slots, 0
for place, sender in ipairs(hungry) do
  local part = math.min(sender.wants + reserve, math.floor(left / (#hungry - place + 1)))
  left = left - part
  if sender.name == args.sender then fair = part end
end

local free = slots - others
if now < state.opens and not args.alone then free = math.min(free, args.held) end
local granted = math.max(0, math.min(fair, free))
state.senders[args.sender] = {
  number = args.number, at = now, demand = args.demand, held = math.max(granted, args.held),
  ends = now + args.lease_ms, freed = now + args.lease_ms + args.hold_ms,
}
redis.call('SET', leases, cjson.encode(state))
return granted
