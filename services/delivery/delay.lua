-- Takes alerts of one subscriber out of the outbox until their plan makes them due. Whoever no longer holds an entry
-- changes nothing.
--
-- KEYS: outbox, in-flight marks, delayed alerts due, delayed alerts of the user, then a mark per entry of the local
-- store or the outbox.
-- Argument: group; user_id; mark_s (lifetime); entries, each with mark (its place in KEYS), id (none in the local
-- store), alert, due_ms.
-- Answer: how many were put aside.
local args = cmsgpack.unpack(ARGV[1])
local outbox, in_flight, delayed_due, delayed = unpack(KEYS, 1, 4)

local count = 0
for _, entry in ipairs(args.entries) do
  local is_ours
  if entry.id then
    is_ours = redis.call('XACK', outbox, args.group, entry.id) == 1
  else
    is_ours = redis.call('SET', KEYS[entry.mark], '1', 'NX', 'EX', args.mark_s)
  end
  if is_ours then
    redis.call('ZADD', delayed, entry.due_ms, entry.alert)
    redis.call('ZADD', delayed_due, 'LT', entry.due_ms, args.user_id)
    count = count + 1
  end
  if entry.id then
    redis.call('XDEL', outbox, entry.id)
    redis.call('HDEL', in_flight, entry.id)
  end
end
return count
