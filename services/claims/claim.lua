-- Makes alerts of a batch of decided calls: who is accepted, what is journaled, how far the feed and the matchers are.
--
-- KEYS: fences, journal, answer to this batch, feed cursor, match cursors; then those that the argument names by their
-- place in KEYS.
-- Argument (services/claims/claiming.py has it as Structs):
--   fences         fenced.lua
--   group          consumer group of the outboxes
--   is_local       the alerts went into the local store while Redis was unavailable; what remains is to write down who was
--                  accepted, until a moment instead of for a while
--   call_s, journaled_s, rejected_s, waiting_s, answer_s    lifetimes
--   position       of the feed, as a string; none: the batch does not move it
--   match_cursors  partition to entry
--   calls          each with
--     id, decided          what is journaled of it (none: nobody was left to check)
--     payload, record      what is stored of the call and as accepted record; none where nobody is accepted
--     ends_ms              when accepted records end: in ms from now or, if is_local, since 1970
--     stored_call, rejected_record, journaled_mark            places in KEYS
--     accepted             alerts, records and outboxes (places in KEYS), one of each per user; none: nobody
--     waiting              each with document, ends_ms (none: it ends the waiting); call and by_end (places in KEYS)
--     checked              the channel that was checked, called_at, at, is_first (the rejected record begins with it);
--                          none: the record stays as it is
-- Answer: one character per (call, user): 1 where this batch accepted; then, where it did not, how long the record lives
-- that stands (`101|86400000`, in ms, comma between them). It is kept when anything was accepted or began or ended to
-- wait.
--
-- A call is journaled behind its claims: where PostgreSQL has it, it has them, and the feed need not be asked again.
--
-- If is_local, an accepted record that stands already may be the work of this very batch, whose answer was lost before
-- Redis became unavailable: then its alert stands in the outbox as well, byte for byte, and leaves it.
local journal, kept_answer, feed_cursor, match_cursors = KEYS[2], KEYS[3], KEYS[4], KEYS[5]

local answer = redis.call('GET', kept_answer)
if answer then return answer end
local flags, stand, changed = {}, {}, false

local function remove_twin(outbox, alert)
  for _, entry in ipairs(redis.call('XRANGE', outbox, '-', '+')) do
    local id, fields = entry[1], entry[2]
    if fields[2] == alert then
      redis.call('XACK', outbox, args.group, id)
      redis.call('XDEL', outbox, id)
    end
  end
end

local function accept(call)
  local accepted, expiry, is_stored = call.accepted, args.is_local and 'PXAT' or 'PX', false
  for i, alert in ipairs(accepted.alerts) do
    local record, outbox = KEYS[accepted.records[i]], KEYS[accepted.outboxes[i]]
    local stands = redis.call('EXISTS', record) == 1
    if stands and args.is_local then remove_twin(outbox, alert) end
    if args.is_local or not stands then
      if not is_stored then redis.call('SET', KEYS[call.stored_call], call.payload, 'NX', 'EX', args.call_s) end
      is_stored = true
      if not args.is_local then redis.call('XADD', outbox, '*', 'alert', alert) end
      redis.call('XADD', journal, '*', 'kind', 'claim', 'data', alert)
      redis.call('SET', record, call.record, expiry, call.ends_ms)
      flags[#flags + 1] = '1'
      changed = true
    else
      flags[#flags + 1] = '0'
      stand[#stand + 1] = redis.call('PTTL', record)
    end
  end
end

local function note_checked(record, checked)
  if checked.is_first then redis.call('DEL', record) end
  redis.call('HSET', record, 'status', 'rejected', 'timestamp', checked.at, checked.channel, checked.called_at)
  redis.call('EXPIRE', record, args.rejected_s)
end

local function note_waiting(call)
  for _, part in ipairs(call.waiting) do
    if part.document then
      redis.call('SET', KEYS[part.call], part.document, 'EX', args.waiting_s)
      redis.call('ZADD', KEYS[part.by_end], part.ends_ms, call.id)
    else
      redis.call('DEL', KEYS[part.call])
      redis.call('ZREM', KEYS[part.by_end], call.id)
    end
    changed = true
  end
end

for _, call in ipairs(args.calls) do
  if call.accepted then accept(call) end
  if call.decided and redis.call('SET', KEYS[call.journaled_mark], '1', 'NX', 'EX', args.journaled_s) then
    redis.call('XADD', journal, '*', 'kind', 'call', 'data', call.decided)
  end
  if call.checked then note_checked(KEYS[call.rejected_record], call.checked) end
  note_waiting(call)
end
if args.position then
  local known = redis.call('GET', feed_cursor)
  if not known or tonumber(known) < tonumber(args.position) then redis.call('SET', feed_cursor, args.position) end
end
local moved = {}
for partition, entry in pairs(args.match_cursors) do
  moved[#moved + 1] = partition
  moved[#moved + 1] = entry
end
if #moved > 0 then redis.call('HSET', match_cursors, unpack(moved)) end
answer = table.concat(flags)
if #stand > 0 then answer = answer .. '|' .. table.concat(stand, ',') end
if changed then redis.call('SET', kept_answer, answer, 'EX', args.answer_s) end
return answer
