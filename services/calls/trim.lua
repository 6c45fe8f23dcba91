-- Removes the calls before the lowest cursor; nothing while a partition has none.
--
-- KEYS: calls, match cursors.
-- Argument: partitions.
-- Answer: how many calls went.
local args = cmsgpack.unpack(ARGV[1])
local calls, match_cursors = KEYS[1], KEYS[2]

local lowest_ms, lowest_n, lowest
for _, cursor in ipairs(redis.call('HMGET', match_cursors, unpack(args.partitions))) do
  if not cursor then return 0 end
  local ms, n = string.match(cursor, '^(%d+)-(%d+)$')
  ms, n = tonumber(ms), tonumber(n)
  if not lowest or ms < lowest_ms or (ms == lowest_ms and n < lowest_n) then
    lowest_ms, lowest_n, lowest = ms, n, cursor
  end
end
return redis.call('XTRIM', calls, 'MINID', lowest)
