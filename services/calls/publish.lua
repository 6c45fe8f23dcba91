-- Appends a batch of calls and moves the feed's cursor. A batch larger than the stream may be enters an empty one.
--
-- KEYS: fences, calls, mark of this batch, feed cursor.
-- Argument: fences (fenced.lua); longest (stream); mark_s (lifetime of the mark); position (of the feed, as a string;
-- none: it has no cursor); calls.
-- Answer: 1, also when the batch is there already; 0 when the stream is full and nothing was changed.
local calls, mark, feed_cursor = KEYS[2], KEYS[3], KEYS[4]

if redis.call('EXISTS', mark) == 1 then return 1 end
local length = redis.call('XLEN', calls)
if length > 0 and length + #args.calls > args.longest then return 0 end
for _, call in ipairs(args.calls) do redis.call('XADD', calls, '*', 'call', call) end
if args.position then
  local known = redis.call('GET', feed_cursor)
  if not known or tonumber(known) < tonumber(args.position) then redis.call('SET', feed_cursor, args.position) end
end
redis.call('SET', mark, '1', 'EX', args.mark_s)
return 1
