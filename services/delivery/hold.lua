-- Moves alerts of one subscriber from the outbox to the calls that wait for their digest. Whoever no longer holds an
-- entry changes nothing: its digest may have gone already.
--
-- KEYS: outbox, in-flight marks, journal, digests due, held calls of the user, what came up for them, then a mark per
-- entry of the local store or the outbox.
-- Argument: group; user_id; now_ms; came_up_s, mark_s (lifetimes); entries, each with mark (its place in KEYS), id (none
-- in the local store), call_id, held_call, due_ms, record (for the journal), came_up (none: nothing).
-- Answer: how many were held.
local args = cmsgpack.unpack(ARGV[1])
local outbox, in_flight, journal, digests_due, held_calls, came_up = unpack(KEYS, 1, 6)

local held = 0
for _, entry in ipairs(args.entries) do
  local is_ours
  if entry.id then
    is_ours = redis.call('XACK', outbox, args.group, entry.id) == 1
  else
    is_ours = redis.call('SET', KEYS[entry.mark], '1', 'NX', 'EX', args.mark_s)
  end
  if is_ours then
    redis.call('HSET', held_calls, entry.call_id, entry.held_call)
    redis.call('ZADD', digests_due, 'LT', entry.due_ms, args.user_id)
    redis.call('XADD', journal, '*', 'kind', 'delivery', 'data', entry.record)
    if entry.came_up then
      redis.call('ZADD', came_up, args.now_ms, entry.came_up)
      redis.call('EXPIRE', came_up, args.came_up_s)
    end
    held = held + 1
  end
  if entry.id then
    redis.call('XDEL', outbox, entry.id)
    redis.call('HDEL', in_flight, entry.id)
  end
end
return held
