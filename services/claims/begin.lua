-- Marks entries as in flight: the very next thing is the request.
--
-- KEYS: fences, in-flight marks.
-- Argument: fences (fenced.lua); entries; at_ms.
local in_flight, marks = KEYS[2], {}
for _, entry in ipairs(args.entries) do
  marks[#marks + 1] = entry
  marks[#marks + 1] = args.at_ms
end
redis.call('HSET', in_flight, unpack(marks))
return 1
