-- Stores a new revision of a subscriber, with its journal entry, and tells everybody. The very same document again is
-- stored already: its first answer got lost.
--
-- KEYS: document, set of all subscribers, journal, changes.
-- Argument: user_id; revision; document; by (whom); changes_kept (how many).
-- Answer: 'stored', else the revision that stands.
local args = cmsgpack.unpack(ARGV[1])
local document, subscribers, journal, changes = unpack(KEYS)

local standing = redis.call('GET', document)
if standing then
  if standing == args.document then return 'stored' end
  local revision = cjson.decode(standing).revision or 1
  if args.revision <= revision then return tostring(revision) end
end
redis.call('SADD', subscribers, args.user_id)
redis.call('SET', document, args.document)
redis.call('XADD', journal, '*', 'kind', 'subscriber', 'data', args.document)
redis.call('XADD', changes, 'MAXLEN', '~', args.changes_kept, '*', 'user_id', args.user_id, 'revision', args.revision,
  'by', args.by)
return 'stored'
