-- A process says that it lives, and learns who else does.
--
-- KEYS: documents, when each was last seen (ms).
-- Argument: owner; document; instance; protocol; joins; ttl_ms (lifetime of a sign of life); remembered_ms (how long the
-- silent are remembered).
-- Answer: the time in ms, then document and time per remembered member.
local args = cmsgpack.unpack(ARGV[1])
local documents, last_seen = KEYS[1], KEYS[2]

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local mine = redis.call('HGET', documents, args.owner)
if mine and not args.joins and cjson.decode(mine).instance ~= args.instance then
  return redis.error_reply('REPLACED ' .. args.owner)
end
local gone = redis.call('ZRANGEBYSCORE', last_seen, '-inf', '(' .. string.format('%.0f', now - args.remembered_ms))
for _, owner in ipairs(gone) do
  redis.call('HDEL', documents, owner)
  redis.call('ZREM', last_seen, owner)
end
local reply, seen = {now}, redis.call('ZRANGE', last_seen, 0, -1, 'WITHSCORES')
for i = 1, #seen, 2 do
  local owner, seen_at = seen[i], tonumber(seen[i + 1])
  local document = redis.call('HGET', documents, owner)
  if document and owner ~= args.owner then
    local protocol = cjson.decode(document).protocol
    if protocol ~= args.protocol and now - seen_at <= args.ttl_ms then
      return redis.error_reply('SKEW ' .. owner .. ' speaks ' .. tostring(protocol))
    end
    reply[#reply + 1] = document
    reply[#reply + 1] = seen_at
  end
end
redis.call('HSET', documents, args.owner, args.document)
redis.call('ZADD', last_seen, now, args.owner)
reply[#reply + 1] = args.document
reply[#reply + 1] = now
return reply
