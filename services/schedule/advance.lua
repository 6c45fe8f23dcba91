-- Moves a due time that was seen to the next one. Whoever has seen another one changes nothing.
--
-- KEYS: due times.
-- Argument: subject; seen_ms; then_ms (none: never again).
-- Answer: 1 when it was moved, else 0.
local args = cmsgpack.unpack(ARGV[1])
local due_times = KEYS[1]

local stands = redis.call('ZSCORE', due_times, args.subject)
if not stands or tonumber(stands) ~= args.seen_ms then return 0 end
if args.then_ms then
  redis.call('ZADD', due_times, args.then_ms, args.subject)
else
  redis.call('ZREM', due_times, args.subject)
end
return 1
