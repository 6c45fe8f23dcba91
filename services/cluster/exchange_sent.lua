-- Writes down what a sender has sent lately, and tells what the others have. A document begins with its time.
--
-- KEYS: what was sent lately.
-- Argument: instance; document (none: only look); lasts_ms (after which a document says nothing).
-- Answer: the time in ms, then everybody's documents as they were.
local args = cmsgpack.unpack(ARGV[1])
local sent_lately = KEYS[1]

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local reply, found = {now}, redis.call('HGETALL', sent_lately)
for i = 1, #found, 2 do
  local instance, document = found[i], found[i + 1]
  if now - tonumber(string.match(document, '^%d+')) > args.lasts_ms then
    redis.call('HDEL', sent_lately, instance)
  else
    reply[#reply + 1] = document
  end
end
if args.document then
  redis.call('HSET', sent_lately, args.instance, string.format('%.0f', now) .. ' ' .. args.document)
end
return reply
