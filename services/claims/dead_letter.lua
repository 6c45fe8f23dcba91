-- Moves an entry to the dead letters, with its journal records. Only whoever still holds the entry writes the letter, so
-- a repeated burial digs no second grave.
--
-- KEYS: outbox, dead letters, in-flight marks, journal, mark of an entry of the local store.
-- Argument: group; entry (none in the local store); alert; reason; at_ms; mark_s (lifetime of the mark); records.
local args = cmsgpack.unpack(ARGV[1])
local outbox, dead_letters, in_flight, journal, mark = unpack(KEYS)

local is_ours
if args.entry then
  is_ours = redis.call('XACK', outbox, args.group, args.entry) == 1
  redis.call('XDEL', outbox, args.entry)
  redis.call('HDEL', in_flight, args.entry)
else
  is_ours = redis.call('SET', mark, '1', 'NX', 'EX', args.mark_s)
end
if is_ours then
  redis.call('XADD', dead_letters, '*', 'alert', args.alert, 'reason', args.reason, 'buried_at_ms', args.at_ms)
  for _, record in ipairs(args.records) do redis.call('XADD', journal, '*', 'kind', 'delivery', 'data', record) end
end
return 1
